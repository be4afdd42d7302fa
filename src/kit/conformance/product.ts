/** What holds for every Product: its data, its services' life, its tabs. */
import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import { SaveResult } from '../../../sandbox/contract/kinds/module.ts';
import type { ServiceAction } from '../../../sandbox/contract/kinds/product.ts';
import { silentServer } from '../api.ts';
import { checkCare } from './care.ts';
import type { Case, Subject } from './case.ts';
import { must, none } from './case.ts';

const LONG = 'x'.repeat(100_000);
/** What a form or a script could send. */
const BAD_INPUT: readonly Readonly<Record<string, unknown>>[] = [
  {},
  { '': '' },
  JSON.parse('{"__proto__": {"a": 1}}'),
];
const BAD_VALUES: readonly unknown[] = [
  '',
  LONG,
  -1,
  1e308,
  null,
  true,
  [],
  {},
  '<script>',
  "'; drop table x; --",
  '\u0000',
];

function variants(keys: readonly string[]): Readonly<Record<string, unknown>>[] {
  return [...BAD_INPUT, ...BAD_VALUES.map((value) => Object.fromEntries(keys.map((key) => [key, value])))];
}

async function checkSave(subject: Subject, method: string, keys: readonly string[]): Promise<void> {
  for (const data of variants(keys)) {
    const answer = v.safeParse(SaveResult, await subject.module.call(method, data));
    const shown = JSON.stringify(data).slice(0, 100);
    must(answer.success, `${method}(${shown}) answered in no known shape`);
    if (!answer.success || answer.output.status === 'success') continue;
    must(
      answer.output.code === undefined || answer.output.code === 422,
      `${method}(${shown}) refused with ${answer.output.code}; 422 is expected`,
    );
  }
}

const keysOf = (fields: readonly { readonly key: string }[], sample: object = {}): string[] => [
  ...new Set([...fields.map(({ key }) => key), ...Object.keys(sample)]),
];

const badInput: Case = {
  name: 'refuses bad input with 422 or takes it, and never breaks on it',
  async run(subject) {
    const { declaration, options } = subject;
    await checkSave(subject, 'saveProductData', keysOf(declaration.product_fields, options.product));
    await checkSave(subject, 'saveServiceData', keysOf(declaration.service_fields, options.order));
  },
};

const settled: Case = {
  name: 'gives the same data for data it gave before',
  async run({ module, options }) {
    for (const [method, sample] of [
      ['getProductData', options.product],
      ['getServiceData', options.order],
    ] as const) {
      const once = await module.call(method, sample ?? {});
      must(
        isDeepStrictEqual(await module.call(method, once), once),
        `${method}() changed what it had returned itself: what it makes up must be kept when it is given back`,
      );
    }
  },
};

const hasSample = ({ options }: Subject): boolean => options.product !== undefined;

async function expectStatus({ module }: Subject, provision: string): Promise<void> {
  const { provision_status: status } = await module.service();
  const failed = (await module.tasks()).filter((task) => task.status === 'failed');
  must(
    status === provision,
    `provision status "${provision}" is expected, it is "${status}"; failed jobs: ${JSON.stringify(failed.map(({ method, error }) => ({ method, error })))}`,
  );
}

async function act(subject: Subject, action: ServiceAction): Promise<void> {
  const { module } = subject;
  const { adminId, host } = module.installed;
  const { uuid } = await module.service();
  await host.bulkhead.panel.billing.serviceAction({ serviceId: uuid, action, accountId: adminId });
  await module.runTasks({ delayed: true });
}

function begin({ module, options }: Subject): void {
  module.setProductData(options.product ?? {});
  module.setServiceData(options.order ?? {});
}

const life: Case = {
  name: 'takes a service through its life: made, shown, suspended, resumed, ended',
  applies: hasSample,
  async run(subject) {
    const { module, declaration } = subject;
    begin(subject);
    await module.order();
    await module.runTasks({ delayed: true });
    await expectStatus(subject, 'completed');
    for (const { key } of declaration.tabs) {
      const { status, kind } = await module.tab(key);
      must(kind === 'html' && status === 200, `tab ${key} answered ${kind} ${status}`);
    }
    if (declaration.methods.includes('suspendJob')) {
      await act(subject, 'suspend');
      await expectStatus(subject, 'suspended');
      await act(subject, 'unsuspend');
      await expectStatus(subject, 'completed');
    }
    if (declaration.methods.includes('terminationJob')) {
      await act(subject, 'termination');
      await expectStatus(subject, 'terminated');
    }
  },
};

const OFFERS = ['testConnection', 'usageUpdate', 'reconcile', 'singleSignOn', 'changePassword'];

const offers: Case = {
  name: 'answers what it offers beside the lifecycle in the shapes of the contract',
  applies: (subject) =>
    hasSample(subject) && OFFERS.some((method) => subject.declaration.methods.includes(method)),
  async run(subject) {
    begin(subject);
    await subject.module.order();
    await subject.module.runTasks({ delayed: true });
    await expectStatus(subject, 'completed');
    await checkCare(subject);
  },
};

const AllowedShape = v.object({ cidr: v.string(), port: v.number() });
type Allowed = v.InferOutput<typeof AllowedShape>;

/** Runs `work` while the module can reach nothing; what it could before is given back. */
async function cutOff({ module }: Subject, work: () => Promise<void>): Promise<void> {
  const { tenantId, adminId, host } = module.installed;
  const { db, tenants } = host.bulkhead.panel;
  const { egress_allow: allowed } = await db
    .selectFrom('tenants')
    .select('egress_allow')
    .where('id', '=', tenantId)
    .executeTakeFirstOrThrow();
  await tenants.allowEgress({ tenantId, allow: [], accountId: adminId });
  try {
    await work();
  } finally {
    const allow = v.parse(v.array(AllowedShape), allowed);
    await tenants.allowEgress({ tenantId, allow, accountId: adminId });
  }
}

const ENDED = new Set(['completed', 'failed', 'cancelled', 'duplicate']);

const unreachable: Case = {
  name: 'fails, and says so, when the other side cannot be reached, and goes on when its job is run again',
  applies: (subject) =>
    hasSample(subject) && subject.manifest.asks.some(({ id }) => id.startsWith('http.hosts:{settings.')),
  async run(subject) {
    const { module } = subject;
    const { panel } = module.installed.host.bulkhead;
    begin(subject);
    await cutOff(subject, async () => {
      await module.order();
      await module.runTasks({ delayed: true });
    });
    const { uuid, provision_status: provision, status } = await module.service();
    must(
      provision !== 'completed' && status !== 'active',
      `the service is ${status}, ${provision}, though nothing could be asked`,
    );
    const tasks = await module.tasks();
    none(
      'jobs that never end',
      tasks.filter((task) => !ENDED.has(task.status)).map(({ method }) => method),
    );
    must(
      (await module.logs()).some(({ level }) => level === 'error'),
      'no line of the log says what went wrong',
    );
    const failed = tasks.findLast((task) => task.method === 'createJob' && task.status === 'failed');
    must(failed !== undefined, `createJob did not fail; the service ${uuid} is ${provision}`);
    await panel.jobs.retry(failed?.uuid ?? '', module.installed.adminId);
    await module.runTasks({ delayed: true });
    await expectStatus(subject, 'completed');
  },
};

const SILENT_S = 2;
const PATIENCE_S = 600;

/** The settings that hold the addresses of the other side. */
function addressFields({ manifest }: Subject): string[] {
  return manifest.asks.flatMap(({ id }) => /^http\.hosts:\{settings\.(\w+)\}$/.exec(id)?.[1] ?? []);
}

/** Runs `work` while whoever the module asks takes its connections and never answers. */
async function unanswered(subject: Subject, work: () => Promise<void>): Promise<void> {
  const { tenantId, adminId, installationId, host } = subject.module.installed;
  const { catalog, db, tenants } = host.bulkhead.panel;
  await using silent = await silentServer();
  const stored = await db
    .selectFrom('installations as installation')
    .innerJoin('tenants as tenant', 'tenant.id', 'installation.tenant_id')
    .select(['installation.settings', 'tenant.egress_allow'])
    .where('installation.id', '=', installationId)
    .executeTakeFirstOrThrow();
  const settings = v.parse(v.record(v.string(), v.unknown()), stored.settings);
  const put = async (values: Readonly<Record<string, unknown>>, more: readonly Allowed[]): Promise<void> => {
    const allow = [...v.parse(v.array(AllowedShape), stored.egress_allow), ...more];
    await tenants.allowEgress({ tenantId, allow, accountId: adminId });
    const saved = await catalog.saveSettings({ installationId, values, accountId: adminId });
    must(saved.ok, `the settings were refused: ${JSON.stringify(saved)}`);
  };
  const elsewhere = Object.fromEntries(addressFields(subject).map((field) => [field, silent.origin]));
  await put({ ...settings, ...elsewhere }, [{ cidr: '127.0.0.1/32', port: silent.port }]);
  try {
    await work();
  } finally {
    await put(settings, []);
  }
}

const timeout: Case = {
  name: 'is stopped and says so when the other side never answers, and its job can be run again',
  applies: (subject) => hasSample(subject) && addressFields(subject).length > 0,
  async run(subject) {
    const { module } = subject;
    const { db, jobs } = module.installed.host.bulkhead.panel;
    const { adminId } = module.installed;
    const creating = async () => (await module.tasks()).findLast(({ method }) => method === 'createJob');
    // The job's own time is minutes; nobody who runs a suite has them.
    const givenSeconds = async (timeout_s: number): Promise<void> => {
      const once = { timeout_s, tries: 1, max_exceptions: 1 };
      await db
        .updateTable('tasks')
        .set(once)
        .where('id', '=', (await creating())?.uuid ?? '')
        .execute();
    };
    begin(subject);
    await unanswered(subject, async () => {
      await module.order();
      await givenSeconds(SILENT_S);
      await module.runTasks({ delayed: true });
    });
    const task = await creating();
    must(task?.status === 'failed' && task.error !== null, `createJob ended as ${task?.status}`);
    const { provision_status: provision, status } = await module.service();
    must(provision === 'failed', `the service is ${status}, ${provision}, though nothing was answered`);
    await givenSeconds(PATIENCE_S);
    await jobs.retry(task?.uuid ?? '', adminId);
    await module.runTasks({ delayed: true });
    // What may have been done already is for a person to see, unless the step can look.
    const inDoubt = v.is(v.looseObject({ code: v.literal('STEP_IN_DOUBT') }), (await creating())?.error);
    if (!inDoubt) await expectStatus(subject, 'completed');
  },
};

export const productCases: readonly Case[] = [badInput, settled, life, offers, unreachable, timeout];
