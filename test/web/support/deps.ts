/**
 * The panel's dependencies for its own tests: real rows, a real sign-in, and use cases that answer plainly and note how they were called.
 * The real use cases have their own tests; the panel's are about who may reach them and with what.
 */
import type { Kysely } from 'kysely';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { ModuleResponse } from '../../../sandbox/contract/invocation.ts';
import type { Field } from '../../../sandbox/contract/kinds/module.ts';
import type { ConsentLine, WebDeps } from '../../../src/web/deps.ts';
import { createNotificationCases } from '../../../src/notifications/cases.ts';
import { readBillingSettings } from '../../../src/billing/settings.ts';
import type { Tables } from '../../../src/database/tables.ts';
import type { Seeded } from './seed.ts';

export interface Called {
  readonly name: string;
  readonly input: unknown;
}

export interface TestDeps extends WebDeps {
  /** Every use case that was called, in order. */
  readonly called: Called[];
  /** Errors that were reported. */
  readonly reported: unknown[];
  /** What the module answers next. */
  answer: ModuleResponse;
}

const field = (key: string, title: string, type: Field['type'], extra: Partial<Field> = {}): Field => ({
  key,
  title,
  type,
  help: '',
  required: false,
  ...extra,
});

export const FIELDS: readonly Field[] = [
  field('region', 'Region', 'select', {
    required: true,
    options: [
      { value: 'fra1', title: 'Frankfurt' },
      { value: 'ams3', title: 'Amsterdam' },
    ],
  }),
  field('size', 'Size', 'text', {
    required: true,
    help: 'The provider’s name of the size.',
    placeholder: 's-1vcpu-1gb',
  }),
  field('disk', 'Disk (GB)', 'number', { min: 10, max: 500 }),
  field('backups', 'Nightly backups', 'switch'),
];

export const LINES: readonly ConsentLine[] = [
  line('http.hosts:api.digitalocean.com', {
    capability: 'http',
    capabilityTitle: 'Network requests',
    icon: 'globe',
    sort: 'list',
    item: 'api.digitalocean.com',
    risk: 'medium',
    text: 'Send requests to api.digitalocean.com.',
    granted: true,
    uses: 1_204,
    lastUsedAt: new Date('2026-11-22T14:58:00Z'),
  }),
  line('http.hosts:*.example.com:8443', {
    capability: 'http',
    capabilityTitle: 'Network requests',
    icon: 'globe',
    sort: 'list',
    item: '*.example.com:8443',
    narrowable: true,
    risk: 'high',
    optional: true,
    reason: 'To reach your own nodes.',
    text: 'Send requests to *.example.com:8443.',
    granted: false,
  }),
  line('http.per_minute', {
    capability: 'http',
    capabilityTitle: 'Network requests',
    icon: 'globe',
    sort: 'amount',
    field: 'per_minute',
    amount: 120,
    unit: 'requests a minute',
    text: 'At most 120 requests a minute.',
    granted: true,
  }),
  line('secrets.names:api_key', {
    capability: 'secrets',
    capabilityTitle: 'Secrets',
    icon: 'key',
    sort: 'named',
    item: 'api_key',
    risk: 'medium',
    text: 'Use “API key”, sent only to api.digitalocean.com. It never sees the value.',
    granted: false,
  }),
  line('db.tables', {
    capability: 'db',
    capabilityTitle: 'Database',
    icon: 'database',
    sort: 'amount',
    amount: 5,
    unit: 'tables',
    text: 'Keep data in up to 5 tables of its own. It cannot see any other table.',
    granted: true,
    uses: 0,
    lastUsedAt: null,
  }),
  line('tasks.concurrency', {
    capability: 'tasks',
    capabilityTitle: 'Background jobs',
    icon: 'list-check',
    sort: 'amount',
    amount: 2,
    unit: 'jobs at once',
    text: 'Run up to 2 background jobs at once.',
    granted: true,
    added: true,
  }),
];

function line(id: string, given: Partial<ConsentLine>): ConsentLine {
  return {
    id,
    capability: '',
    capabilityTitle: '',
    icon: 'cube',
    field: '',
    sort: 'list',
    item: '',
    narrowable: false,
    optional: false,
    reason: '',
    risk: 'low',
    text: '',
    granted: false,
    added: false,
    ...given,
  };
}

export function testDeps(
  db: Kysely<Tables>,
  seeded: Seeded,
  options: { publicUrl: string; now: () => number },
): TestDeps {
  const called: Called[] = [];
  const reported: unknown[] = [];
  const note = (name: string, input: unknown): void => {
    called.push({ name, input });
  };
  const entry = {
    moduleId: seeded.moduleId,
    publisher: 'acme-labs',
    type: 'Product',
    name: 'VPSHosting',
    title: 'VPS hosting',
    description: 'Sells virtual servers of a cloud provider: create, resize, snapshots, console.',
    icon: 'fas fa-server',
    version: '1.2.0',
    versionId: seeded.versionId,
    publishedAt: new Date(options.now() - 86_400_000),
  };
  const form = { fields: FIELDS, values: { region: 'fra1', size: 's-1vcpu-1gb', disk: 25 }, secretsSet: [] };
  const state: { answer: ModuleResponse } = {
    answer: { kind: 'html', status: 200, html: '<h1>Module page</h1>' },
  };
  const answered = (name: string) => async (input: unknown) => {
    note(name, input);
    return state.answer;
  };
  const did = (name: string) => async (input: unknown) => {
    note(name, input);
    return { ok: true, message: 'Done.', actionId: seeded.versionId };
  };
  return {
    db,
    called,
    reported,
    get answer() {
      return state.answer;
    },
    set answer(answer) {
      state.answer = answer;
    },
    now: options.now,
    publicUrl: options.publicUrl,
    auth: seeded.auth,
    reportError: (error) => void reported.push(error),
    care: {
      view: async () => ({
        buttons: [],
        password: false,
        signOn: false,
        reconcile: false,
        usage: null,
        usageAt: null,
        usageError: null,
        report: null,
        reportAt: null,
        reportError: null,
      }),
      press: did('care.press'),
      changePassword: async (input) => ({
        ...(await did('care.changePassword')(input)),
        password: 'made-up-1',
      }),
      signOn: async () => ({ url: 'https://panel.example.com/' }),
      reconcile: did('care.reconcile'),
      markNotFound: async (input) => note('care.markNotFound', input),
      testConnection: did('care.testConnection'),
      said: async () => undefined,
    },
    runners: async () => [
      {
        id: 'r1',
        group: seeded.tenantId,
        pid: 4_211,
        uid: 20_001,
        rssBytes: 88_211_456,
        cpuUs: 4_211_000,
        isolates: 3,
        invocations: 1,
        startedAt: new Date(options.now() - 600_000),
      },
      {
        id: 'r2',
        group: seeded.otherTenantId,
        pid: 4_217,
        uid: null,
        rssBytes: 61_211_456,
        cpuUs: 211_000,
        isolates: 1,
        invocations: 0,
        startedAt: new Date(options.now() - 60_000),
      },
    ],
    stores: seededStores(note, options.now()),
    catalog: {
      search: async (text) => {
        note('search', text);
        return [
          entry,
          {
            ...entry,
            moduleId: seeded.tenantId,
            title: 'Bank transfer',
            name: 'BankTransfer',
            type: 'Payment',
            icon: 'fas fa-building-columns',
            description: 'Invoices paid by transfer, matched by hand.',
          },
        ];
      },
      modulePage: async () => ({
        ...entry,
        fingerprint: 'SHA256:9f:31:0c:7e:aa:58:12:bd:44:70:6e:1b',
        pinnedAt: new Date(options.now() - 9e8),
        author: 'Acme Labs',
        email: 'hello@acme.test',
        website: 'https://acme.test',
        logo: '',
        lines: LINES,
        settings: [
          {
            key: 'api_key',
            type: 'secret',
            title: 'API <b>key</b>',
            help: 'From your account.',
            required: true,
          },
          { key: 'region', type: 'select', title: 'Region', help: '', required: false },
        ],
        warnings: [],
        versions: [
          {
            id: seeded.versionId,
            version: '1.2.0',
            status: 'published',
            publishedAt: entry.publishedAt,
            sizeBytes: 48_213,
          },
        ],
      }),
      install: async (input) => {
        note('install', input);
        return { installationId: seeded.installationId };
      },
      consent: async () => ({ lines: LINES, version: '1.3.0', missing: ['secrets.names:api_key'] }),
      grant: async (input) => {
        note('grant', input);
        if (Object.values(input.answers).some((answer) => answer.granted && answer.item === '*.com'))
          throw new HostError('BAD_INPUT', 'http.hosts: "*.com" is wider than what the module asks for.');
      },
      enable: async (id) => note('enable', id),
      disable: async (id) => note('disable', id),
      uninstall: async (id) => note('uninstall', id),
      purge: async (id) => note('purge', id),
      exportData: async (id) => {
        note('exportData', id);
        return (async function* () {
          yield '{"module":"acme/Product/Cloud"}\n';
          yield '{"table":"servers","row":{"id":1}}\n';
        })();
      },
      unpause: async (id) => note('unpause', id),
      rollback: async (id) => note('rollback', id),
      update: async (input) => note('update', input),
      settings: async () => ({
        fields: [...FIELDS, field('api_key', 'API key', 'secret')],
        values: { region: 'fra1' },
        secretsSet: ['api_key'],
      }),
      saveSettings: async (input) => {
        note('saveSettings', input);
        return input.values['size'] === 'bad'
          ? { ok: false, errors: { size: ['There is no such size.'] } }
          : { ok: true };
      },
      productForm: async () => ({ kind: 'fields', ...form }),
      saveProduct: async (input) => {
        note('saveProduct', input);
        return input.data['size'] === 'bad'
          ? { ok: false, errors: { size: ['There is no such size.'] } }
          : { ok: true, productId: seeded.productId };
      },
    },
    gateways: {
      offered: async () => [
        {
          instanceId: seeded.instanceId,
          installationId: seeded.paymentInstallationId,
          name: 'Cards, EUR',
          manifest: { title: 'Stripe', icon: 'fab fa-stripe-s' },
        },
      ],
      pay: async (input) => {
        note('pay', input);
        return state.answer;
      },
      submit: async (input) => {
        note('submit', input);
        return state.answer;
      },
      returned: async (input) => note('returned', input),
      canRefund: async () => true,
      refund: async (input) => {
        note('refund', input);
        return { refundId: seeded.instanceId, taskId: seeded.taskId };
      },
    },
    notifications: createNotificationCases(db),
    instances: {
      create: async (input) => {
        note('createInstance', input);
        return input.name === 'Taken'
          ? { ok: false, errors: { name: ['Another one of this module has this name.'] } }
          : { ok: true, instanceId: seeded.instanceId };
      },
      rename: async (input) => {
        note('renameInstance', input);
        return { ok: true };
      },
      setActive: async (input) => note('setActive', input),
      remove: async (id) => note('removeInstance', id),
      form: async () => ({
        fields: [
          field('publishable', 'Publishable key', 'text'),
          field('secret_key', 'Secret key', 'secret'),
        ],
        values: { publishable: 'pk_test_1' },
        secretsSet: ['secret_key'],
        webhookUrl: 'https://panel.example/hooks/0123456789abcdef0123456789abcdef',
        html: false,
      }),
      save: async (input) => {
        note('saveInstance', input);
        return input.values['publishable'] === 'bad'
          ? { ok: false, errors: { publishable: ['This is no key.'] } }
          : { ok: true };
      },
    },
    billing: {
      orderForm: async () => form,
      order: async (input) => {
        note('order', input);
        return { ok: true, serviceId: seeded.serviceId, invoiceId: null };
      },
      serviceAction: async (input) => {
        note('serviceAction', input);
        return { message: 'Queued.' };
      },
    },
    invoicing: {
      settings: async (tenantId) => readBillingSettings(db, tenantId),
      saveSettings: async (tenantId, settings) => note('saveBillingSettings', { tenantId, settings }),
      create: async (input) => {
        note('createInvoice', input);
        return { invoiceId: seeded.tenantId };
      },
      bookByHand: async (input) => {
        note('bookByHand', input);
        return { booked: true };
      },
      useCredit: async (input) => note('useCredit', input),
      cancel: async (input) => note('cancelInvoice', input),
      setDueDate: async (input) => note('setDueDate', input),
      giveCredit: async (input) => note('giveCredit', input),
      refundByHand: async (input) => note('refundByHand', input),
      settleRefund: async (input) => note('settleRefund', input),
      cancelService: async (input) => {
        note('cancelService', input);
        return new Date(options.now());
      },
      keepService: async (input) => note('keepService', input),
    },
    jobs: {
      retry: async (id) => note('retry', id),
      cancel: async (id) => note('cancel', id),
      resume: async (id, step) => note('resume', { id, step }),
      markStepDone: async (input) => note('markStepDone', input),
    },
    modules: {
      enabled: async (tenantId, id) => {
        const row = await db
          .selectFrom('installations as installation')
          .innerJoin('modules as module', 'module.id', 'installation.module_id')
          .select(['installation.id', 'module.type', 'module.name', 'version_id', 'status'])
          .where('installation.id', '=', id)
          .where('installation.tenant_id', '=', tenantId)
          .executeTakeFirst();
        if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such module here.');
        if (row.status !== 'active' && row.status !== 'restricted')
          throw new HostError('CONFLICT', 'This module is not enabled.');
        return row;
      },
      adminPage: answered('adminPage'),
      productPage: answered('productPage'),
      settingsPage: answered('settingsPage'),
      servicePage: answered('servicePage'),
      clientTab: answered('clientTab'),
      clientCall: answered('clientCall'),
      webhook: answered('webhook'),
      mayLeaveTo: async (_id, url) => new URL(url).host === 'checkout.stripe.com',
      asset: async (_version, path) =>
        path === 'js/app.js' ? Buffer.from('document.title = "asset";') : undefined,
    },
    packages: {
      review: async (input) => note('review', input),
      upload: async (input) => {
        note('upload', input);
        return { versionId: seeded.versionId };
      },
    },
    hosts: {
      decide: async (input) => note('decideHost', input),
      forget: async (id) => note('forgetHost', id),
    },
    schedules: {
      runNow: async (id) => note('runNow', id),
      pause: async (id) => note('pause', id),
      resume: async (id) => note('resume', id),
    },
    events: { runAgain: async (id) => note('runAgain', id) },
    tenants: {
      create: async (input) => {
        note('createTenant', input);
        return { ok: true, tenantId: seeded.tenantId };
      },
      allowEgress: async (input) => {
        note('allowEgress', input);
        return { ok: true };
      },
    },
  };
}

/** One store with one module whose publisher nobody has trusted yet, and one that does not answer. */
function seededStores(note: (name: string, input: unknown) => void, nowMs: number): TestDeps['stores'] {
  const store = {
    id: '5d3b7c1e-0000-4000-8000-000000000001',
    name: 'Module market',
    url: 'https://store.example.com',
    policy: 'review',
    addedAt: new Date(nowMs - 9e8),
  } as const;
  const offer = {
    publisher: 'north-works',
    type: 'Plugin',
    name: 'Uptime',
    title: 'Uptime',
    description: 'Asks your servers whether they are there, and tells you when one is not.',
    icon: 'fas fa-heart-pulse',
    version: '2.1.0',
    fingerprint: '9f31 0c7e aa58 12bd 4470 6e1b 77aa 01c4',
    trust: 'unknown',
    localModuleId: null,
  } as const;
  const remote = {
    ...offer,
    storeId: store.id,
    storeName: store.name,
    publicKey: 'k',
    localVersion: null,
    isNewer: true,
  };
  return {
    rows: async () => [store],
    row: async () => store,
    add: async (input) => {
      note('addStore', input);
      return { ok: true, storeId: store.id };
    },
    setPolicy: async (input) => note('setPolicy', input),
    remove: async (input) => note('removeStore', input),
    offers: async () => ({ offers: [remote], away: [{ name: 'Old shelf', reason: 'no answer.' }] }),
    module: async () => ({
      ...offer,
      store,
      author: 'North Works',
      website: '',
      knownFingerprint: null,
      lines: [{ text: 'Send requests to any host.', risk: 'high', reason: 'Your servers', optional: false }],
      versions: [
        {
          version: '2.1.0',
          sizeBytes: 8_211,
          publishedAt: new Date(nowMs),
          yanked: false,
          reason: null,
          here: null,
        },
        {
          version: '2.0.0',
          sizeBytes: 8_000,
          publishedAt: new Date(nowMs - 9e8),
          yanked: true,
          reason: 'asked too often',
          here: null,
        },
      ],
    }),
    trust: async (input) => note('trust', input),
    bring: async (input) => {
      note('bring', input);
      return { moduleId: store.id, versionId: store.id, status: 'in_review' };
    },
  };
}
