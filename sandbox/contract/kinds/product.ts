/** Product: provisions and manages what clients order. */
import * as v from 'valibot';
import { kind, method, type MethodFamily } from '../op.ts';
import { ActionResult, Data, DataArgs, Field, moduleMethods, SaveResult } from './module.ts';
import {
  ClientActions,
  PasswordRequest,
  PasswordResult,
  ReconcileReport,
  ServiceButtons,
  SignOnResult,
  Usage,
  Who,
} from './service-care.ts';

/** The lifecycle of a service: the host calls `{action}`, which queues `{action}Job`; afterwards `{action}Callback`. */
export const SERVICE_ACTIONS = {
  create: { provision: 'completed', done: 'ServiceCreated' },
  suspend: { provision: 'suspended', done: 'ServiceSuspended' },
  unsuspend: { provision: 'completed', done: 'ServiceUnsuspended' },
  termination: { provision: 'terminated', done: 'ServiceTerminated' },
  change_package: { provision: null, done: 'ServicePackageChanged' },
  renew: { provision: null, done: 'ServiceRenewed' },
} as const;
export type ServiceAction = keyof typeof SERVICE_ACTIONS;
export const SERVICE_ACTION_NAMES = Object.keys(SERVICE_ACTIONS) as readonly ServiceAction[];

/** Actions that a module may lack without a word about it. */
export const OPTIONAL_ACTIONS: ReadonlySet<ServiceAction> = new Set<ServiceAction>(['renew']);

/** What renew() gets, and renewJob() after it: the time that was paid for. The same period may come again after a crash. */
export const Renewal = v.object({ period_from: v.string(), period_to: v.string() });
export type Renewal = v.InferOutput<typeof Renewal>;

const NoArgs = v.tuple([]);
const JobArgs = v.tuple([Data]);
const CallbackArgs = v.tuple([v.unknown(), v.string()]);
const Page = v.union([v.string(), v.unknown()]);
export const TabConfig = v.record(
  v.pipe(
    v.string(),
    v.regex(/^[a-z][a-z0-9_]{0,39}$/, 'a tab key of lower-case letters, digits and _ is expected'),
  ),
  v.object({ name: v.pipe(v.string(), v.minLength(1), v.maxLength(100)), template: v.string() }),
);

const queues = (what: string) => method(`Queues the job that ${what}.`, NoArgs, ActionResult);
const works = (what: string) => method(`The job that ${what}.`, JobArgs, ActionResult);
const after = (what: string) =>
  method(
    `Runs after ${what}, with its result and the task’s uuid; sets status and dates.`,
    CallbackArgs,
    v.unknown(),
  );

const families: readonly MethodFamily[] = [
  {
    doc: 'variables_{tab}(): what the tab’s template gets.',
    result: Data,
    names: ({ tabs }) => tabs.map((tab) => `variables_${tab}`),
  },
  {
    doc: 'controllerClient_{tab}{Verb}(request): the tab’s own requests.',
    result: v.unknown(),
    names: ({ tabs }) =>
      tabs.flatMap((tab) => ['Get', 'Post', 'Put', 'Delete'].map((verb) => `controllerClient_${tab}${verb}`)),
  },
  {
    doc: 'adminButton_{key}(): what a button of adminButtons() does.',
    result: ActionResult,
    names: ({ adminButtons = [] }) => adminButtons.map((key) => `adminButton_${key}`),
  },
  {
    doc: 'clientButton_{key}(): what a button of clientButtons() does.',
    result: ActionResult,
    names: ({ clientButtons = [] }) => clientButtons.map((key) => `clientButton_${key}`),
  },
];

/** The methods behind a button, by who may press it. */
export const BUTTON_METHODS = { admin: 'adminButton_', client: 'clientButton_' } as const;

export const product = kind({
  type: 'Product',
  doc: 'Provisions and manages what clients order.',
  instances: false,
  families,
  methods: {
    ...moduleMethods,
    productFields: method(
      'Typed fields of a product’s configuration: the host draws the form.',
      NoArgs,
      v.array(Field),
    ),
    serviceFields: method('Typed fields of an order.', NoArgs, v.array(Field)),
    getProductData: method(
      'Gives the product’s configuration its defaults; sets this.product_data.',
      DataArgs,
      Data,
    ),
    saveProductData: method('Checks a product’s configuration.', DataArgs, SaveResult),
    getProductPage: method('HTML of the configuration, shown in the module’s frame.', NoArgs, Page),
    getServiceData: method(
      'Gives a service’s data its defaults; sets this.service_data. What it returns is stored.',
      DataArgs,
      Data,
    ),
    saveServiceData: method('Checks the data of an order.', DataArgs, SaveResult),
    getServicePage: method('HTML of one service, shown in the module’s frame.', NoArgs, Page),
    create: queues('creates the service'),
    createJob: works('creates the service'),
    createCallback: after('createJob'),
    suspend: queues('suspends the service'),
    suspendJob: works('suspends the service'),
    suspendCallback: after('suspendJob'),
    unsuspend: queues('resumes the service'),
    unsuspendJob: works('resumes the service'),
    unsuspendCallback: after('unsuspendJob'),
    termination: queues('ends the service'),
    terminationJob: works('ends the service'),
    terminationCallback: after('terminationJob'),
    change_package: queues('moves the service to another product'),
    change_packageJob: works('moves the service to another product'),
    change_packageCallback: after('change_packageJob'),
    renew: method(
      'Queues the job that extends the service by the period that was paid. Called when an invoice of a next period is paid.',
      v.tuple([Renewal]),
      ActionResult,
    ),
    renewJob: works('extends the service by the period that was paid'),
    renewCallback: after('renewJob'),
    getClientAreaMenuConfig: method('Tabs of the client’s service page.', NoArgs, TabConfig),
    changePassword: method(
      'Sets the service’s password: the one in `request.password`, or one it makes if that is null. What stands in `data.password` is shown once.',
      v.tuple([PasswordRequest]),
      PasswordResult,
    ),
    singleSignOn: method(
      'An address that signs a person on at the service: {url}. The host opens it towards hosts granted as `redirect`.',
      v.tuple([Who]),
      SignOnResult,
    ),
    usageUpdate: method(
      'What the service uses, by key: {disk: {value, limit, unit}}. Asked about once an hour.',
      NoArgs,
      Usage,
    ),
    reconcile: method(
      'Compares the remote account with what is kept here: {status: in_sync | different | missing, differences}. Asked once a day and on demand.',
      NoArgs,
      ReconcileReport,
    ),
    adminButtons: method(
      'Buttons for staff on a service’s page: [{key, title, icon?, confirm?, permission?}].',
      NoArgs,
      ServiceButtons,
    ),
    clientButtons: method(
      'Buttons for the client on the service’s page: [{key, title, icon?, confirm?}].',
      NoArgs,
      ServiceButtons,
    ),
    clientActions: method(
      'What clients may do themselves: changePassword, singleSignOn. Nothing by default.',
      NoArgs,
      ClientActions,
    ),
  },
});
