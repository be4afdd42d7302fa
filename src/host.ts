/**
 * `import { createBulkhead } from 'bulkhead/host'`: the whole host as one object to put inside one's own server: a Hono app, a worker and
 * close(). src/main.ts is its first user. This is the only place where the parts are put together.
 */
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Hono } from 'hono';
import * as v from 'valibot';
import { LOG_LEVELS } from '../sandbox/contract/capabilities/logs.ts';
import { HostError } from '../sandbox/contract/envelope.ts';
import { addKinds } from '../sandbox/contract/kinds.ts';
import type { Kind } from '../sandbox/contract/op.ts';
import { createSandbox, type Sandbox } from '../sandbox/supervisor/sandbox.ts';
import { createAuth, type Auth } from './auth/auth.ts';
import { tidyAccounts } from './auth/tidy.ts';
import { resealTwoFactor } from './auth/two-factor.ts';
import { createServiceCallbacks } from './billing/callbacks.ts';
import { onlyWantedServices } from './billing/cancellation.ts';
import { createRefundCallbacks, onlyOpenRefunds } from './billing/gateway-refunds.ts';
import { createInvoicing } from './billing/invoicing.ts';
import { createBilling } from './billing/orders.ts';
import { createBillingRounds, type BillingRounds } from './billing/rounds.ts';
import { runTaskAgain } from './billing/task-again.ts';
import type { Brokers } from './brokers/broker.ts';
import { createCacheBroker } from './brokers/cache.ts';
import { createClientsBroker } from './brokers/clients.ts';
import { createCryptBroker } from './brokers/crypt.ts';
import { createDbBroker } from './brokers/db.ts';
import { createEventsBroker } from './brokers/events.ts';
import { createHostRequests } from './brokers/host-requests.ts';
import { createHttpBroker } from './brokers/http.ts';
import { KeptConnections } from './brokers/http/kept.ts';
import { createInvoicesBroker } from './brokers/invoices.ts';
import { createLogsBroker, type LogSink } from './brokers/logs.ts';
import { createProductsBroker } from './brokers/products.ts';
import { createNetBroker } from './brokers/net.ts';
import { createSecretsBroker } from './brokers/secrets.ts';
import { createServiceBroker } from './brokers/service.ts';
import { createMailBroker, createNotifyBroker } from './brokers/messages.ts';
import { createSmtpBroker } from './brokers/smtp.ts';
import { createMailJournal } from './brokers/smtp/journal.ts';
import { createStepJournal, createStepsBroker } from './brokers/steps.ts';
import { createTasksBroker } from './brokers/tasks.ts';
import { createCare } from './care/cases.ts';
import { careRound, startCare } from './care/rounds.ts';
import { createCatalog } from './catalog/catalog.ts';
import { createBreaker } from './catalog/breaker.ts';
import { createGateways } from './catalog/gateways.ts';
import { createExporter, type Exporter } from './catalog/export.ts';
import { createHostCases } from './catalog/confirmed-hosts.ts';
import { createInstallations, type Installation } from './catalog/installations.ts';
import { createInstanceCases } from './catalog/instance-cases.ts';
import { createInvoker, type Invoker } from './catalog/invoke.ts';
import { lifecycleFlows } from './catalog/lifecycle.ts';
import { createModuleCalls } from './catalog/module-calls.ts';
import { createPackages } from './catalog/package-cases.ts';
import { publish, type Published, type PublishOptions } from './catalog/publish.ts';
import { createRecorder, type Recorder } from './catalog/recorder.ts';
import { dropOld } from './catalog/retention.ts';
import { createRunnerIds, type RunnerIds } from './catalog/runner-ids.ts';
import { sandboxOptions } from './catalog/sandbox-options.ts';
import { createTenantCases } from './catalog/tenant-cases.ts';
import { rollUpUsage } from './catalog/usage-rollup.ts';
import { createVersions } from './catalog/versions.ts';
import { ModulePools } from './database/modules/pools.ts';
import { derivedRolePassword } from './database/modules/passwords.ts';
import { deploymentIdentity, openDatabases, type OpenDatabases } from './database/open.ts';
import { startPump } from './events/pump.ts';
import { createSubscribers, type Subscribers } from './events/subscribers.ts';
import { nextTurnAfter, runHandlerAgain } from './events/turns.ts';
import { createFlows, type Flows } from './flows/executor.ts';
import { cancelTask, markStepDone, resumeTask, retryTask } from './jobs/control.ts';
import { allOf } from './jobs/execute.ts';
import type { JobTiming } from './jobs/limits.ts';
import { startLoop } from './jobs/loop.ts';
import { createRunTask } from './jobs/run-task.ts';
import { startWorker, type Worker } from './jobs/worker.ts';
import { migrateQueue } from './jobs/graphile.ts';
import { createScheduleCases } from './schedules/cases.ts';
import { startTicks } from './schedules/tick.ts';
import { createNotificationCases } from './notifications/cases.ts';
import { createDeliveryEnd, retryingSends } from './notifications/deliveries.ts';
import { mailPerson, tellCategory } from './notifications/notifications.ts';
import { subscribeNotifications } from './notifications/subscribe.ts';
import { openKeyring } from './secrets/master-key.ts';
import { createRotation } from './secrets/rotation.ts';
import { Vault } from './secrets/vault.ts';
import { createStoreCases } from './stores/cases.ts';
import { createStoreClient, type StoreClient, type StoreClientDeps } from './stores/client.ts';
import { askTakenBack, startTakenBack } from './stores/taken-back.ts';
import { openHostMail } from './mail/host-mail.ts';
import { createApp } from './web/app.ts';
import type { WebDeps } from './web/deps.ts';
import type { RootEnv } from './web/env.ts';

export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

export interface BulkheadOptions {
  /** Keeps the embedded database, the master key and nothing else. */
  readonly dataDir: string;
  /** Where browsers reach the panel, base path included. */
  readonly publicUrl: string;
  /** A PostgreSQL to use; absent: an embedded one is started under dataDir. */
  readonly databaseUrl?: string | undefined;
  readonly modulesDatabaseUrl?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The host's own log: for the operator, never shown to a tenant. */
  readonly log?: (level: LogLevel, message: string, detail?: unknown) => void;
  /** The panel's own sign-in if absent. */
  readonly auth?: (db: OpenDatabases['host']['db']) => Auth;
  readonly clientAddress?: (request: Request) => string | undefined;
  /** Reverse proxies whose X-Forwarded-For counts; absent: BULKHEAD_TRUSTED_PROXIES of the environment. */
  readonly trustedProxies?: string;
  /** Module types beside those that the host has: sandbox/contract/kinds shows what one is. They hold for the whole process. */
  readonly kinds?: readonly Kind[];
  /** Keeps a sandbox process ready for the next tenant, at the price of its memory: for a server that people wait for. */
  readonly spareRunner?: boolean;
  /** For tests: name → addresses. */
  readonly resolve?: Parameters<typeof createHttpBroker>[0]['resolve'];
  /** For tests: narrower bounds towards stores. */
  readonly storeLimits?: StoreClientDeps['limits'];
  /** For the fault harness: awaited at each checkpoint of a flow. */
  readonly checkpoint?: (name: string) => Promise<void>;
}

export interface Bulkhead {
  /** The panel: serve it, or mount its fetch in another app. */
  readonly app: Hono<RootEnv>;
  readonly panel: WebDeps;
  readonly databases: OpenDatabases;
  readonly invoker: Invoker;
  readonly sandbox: Sandbox;
  readonly recorder: Recorder;
  /** What billing does by the clock; workers do it by themselves. */
  readonly billing: BillingRounds;
  /** Asks the modules of services in use what they are asked by the clock: usage, comparisons. Workers do it by themselves. @returns how many */
  careRound(): Promise<number>;
  /** Asks each store what it took back of what is installed here. Workers do it by themselves. @returns how many versions changed */
  storeRound(): Promise<number>;
  /** For parts of the embedding server that listen to events; before the first worker is started. */
  readonly subscribers: Subscribers;
  /** Publishes a package into this host's own store. */
  publish(bytes: Uint8Array, options: PublishOptions): Promise<Published>;
  /** Runs jobs in this process until it is stopped. */
  startWorker(options?: {
    readonly concurrency?: number;
    /** Other than JOB_LIMITS: for tests. */
    readonly timing?: Partial<JobTiming>;
  }): Promise<Worker>;
  /** Stops workers, ends runners, flushes what is to be written, and stops an embedded database. May be called again. */
  close(): Promise<void>;
}

/** Flows that a dead process left are looked for this often. */
const FLOW_RESUME_MS = 10_000;
/** A master key that was added is looked for this often. */
const KEYS_MS = 5_000;
/** Ended sessions and the like are looked for this often. */
const TIDY_MS = 10 * 60_000;
/** A start waits so long for those that it found. */
const FLOW_PATIENCE_MS = 5_000;

/** @throws HostError with what to mend before the host can run */
export async function createBulkhead(options: BulkheadOptions): Promise<Bulkhead> {
  const log = options.log ?? (() => undefined);
  addKinds(options.kinds ?? []);
  const keyring = await openKeyring({ dataDir: options.dataDir, env: options.env ?? process.env });
  const databases = await openDatabases({ ...options, log: (line) => log('info', line) });
  try {
    return await compose(options, databases, keyring, log);
  } catch (error) {
    await databases.close();
    throw error;
  }
}

type Log = NonNullable<BulkheadOptions['log']>;

async function compose(
  options: BulkheadOptions,
  databases: OpenDatabases,
  keyring: Awaited<ReturnType<typeof openKeyring>>,
  log: Log,
): Promise<Bulkhead> {
  const { db, sql, endpoint } = databases.host;
  await migrateQueue(endpoint, log);
  const identity = await deploymentIdentity(
    databases.host,
    (plain) => keyring.seal('secret', 'deployment', plain),
    (sealed) => keyring.open('secret', 'deployment', sealed),
  );
  const rolePassword = derivedRolePassword(identity.key);
  const pools = new ModulePools({ endpoint: databases.modules.endpoint, rolePassword });
  const vault = new Vault({ db, keyring });
  const recorder = createRecorder(db, (error) =>
    log('warning', 'what modules did could not be written down', error),
  );
  const versions = createVersions(db);
  const installations = await createInstallations(db, endpoint, versions);
  const runnerIds = createRunnerIds();
  const kept = new KeptConnections();
  const brokers = createBrokers({
    databases,
    keyring,
    vault,
    pools,
    recorder,
    deploymentId: identity.id,
    resolve: options.resolve,
    kept,
    publicUrl: options.publicUrl,
  });
  const sandbox = await createSandbox({
    ...sandboxOptions({
      env: options.env ?? process.env,
      runnerIds,
      spareRunner: options.spareRunner ?? false,
    }),
    onFault: (fault) => log('error', fault.message, fault.cause),
  });
  for (const gap of sandbox.isolation.missing) log('info', gap);
  const invoker = createInvoker({
    db,
    sandbox,
    brokers,
    installations,
    versions,
    vault,
    recorder,
    runnerIds,
    breaker: createBreaker({
      db,
      installations,
      recorder,
      onFault: (error) => log('error', 'a kill could not be counted', error),
    }),
    assetBase: assetBaseAt(options.publicUrl),
    hookUrl: hookUrlAt(options.publicUrl),
  });
  const drainPools = async (names: { owner: string; login: string }): Promise<void> => {
    await Promise.all([pools.drain(names.owner), pools.drain(names.login)]);
  };
  const flows = createFlows({
    db,
    sql,
    definitions: lifecycleFlows({
      db,
      modulesSql: databases.modules.sql,
      deploymentId: identity.id,
      rolePassword,
      installations,
      versions,
      invoker,
      drainPools,
    }),
    ...(options.checkpoint === undefined ? {} : { checkpoint: options.checkpoint }),
    onFault: (error) => log('error', 'a flow failed', error),
  });
  const auth = options.auth?.(db) ?? createAuth(db, Date.now, keyring);
  const exporter = createExporter({
    installations,
    modulesSql: databases.modules.sql,
    deploymentId: identity.id,
  });
  const storeClient = createStoreClient({ resolve: options.resolve, limits: options.storeLimits ?? {} });
  const panel = createPanel({
    storeClient,
    options,
    databases,
    auth,
    sandbox,
    invoker,
    recorder,
    installations,
    versions,
    vault,
    flows,
    exporter,
    runnerIds,
    log,
  });
  const billing = createBillingRounds({ db, act: async (input) => panel.billing.serviceAction(input), log });
  const subscribers = createSubscribers();
  subscribeNotifications(subscribers);
  const workers = new Set<Worker>();
  const resume = async (): Promise<void> => void (await flows.resume());
  // What was left half done is mostly done in a moment; but a start does not wait for a module that hangs.
  await Promise.race([resume(), sleep(FLOW_PATIENCE_MS, undefined, { ref: false })]);
  const resuming = startLoop('flows', FLOW_RESUME_MS, resume, log);
  const tidying = startLoop(
    'accounts',
    TIDY_MS,
    () => tidyAccounts({ db, sessions: auth.sessions, now: Date.now }),
    log,
  );
  const rotating = startLoop(
    'keys',
    KEYS_MS,
    createRotation({ db, keyring, vault, also: [() => resealTwoFactor(db, keyring)], log }),
    log,
  );

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const flowsRest = flows.close();
    await Promise.all([...workers].map((worker) => worker.stop()));
    await sandbox.close();
    kept.close();
    await flowsRest;
    await resuming.stop();
    await rotating.stop();
    await tidying.stop();
    await recorder.close();
    await installations.close();
    await pools.close();
    await databases.close();
  };
  return {
    app: createApp(panel),
    panel,
    databases,
    invoker,
    sandbox,
    recorder,
    billing,
    careRound: () => careRound({ db, installations, invoker, recorder }, log),
    storeRound: () => askTakenBack({ db, client: storeClient }, log, 0),
    subscribers,
    publish: (bytes, how) => publish({ db, sandbox, runnerIds }, bytes, how),
    async startWorker(how = {}) {
      const worker = await startWorker({
        endpoint,
        db,
        runTask: retryingSends(
          db,
          onlyOpenRefunds(db, onlyWantedServices(db, createRunTask({ db, installations, invoker }))),
        ),
        onFinished: allOf([
          createServiceCallbacks({ db, installations, invoker }),
          createRefundCallbacks({ db, installations }),
          createDeliveryEnd({ vault }),
        ]),
        // What a job of neither was for, nobody waits to hear.
        concernsEnd: (task) => task.serviceId !== null || task.instanceId !== null,
        onRun: (task) => nextTurnAfter(db, task),
        log: (level, message) => log(level, message),
        ...how,
      });
      const rounds = billing.start();
      const care = startCare({ db, installations, invoker, recorder }, log);
      const taken = startTakenBack({ db, client: storeClient }, log);
      const pump = await startPump({ db, installations, subscribers }, endpoint, log);
      const ticks = startTicks(db, log);
      const forgetting = startLoop(
        'old logs and usage',
        TIDY_MS,
        async () => {
          const now = new Date();
          await dropOld(db, now);
          await rollUpUsage(db, now);
        },
        log,
      );
      const stop = async (): Promise<void> =>
        void (await Promise.all([
          rounds.stop(),
          care.stop(),
          taken.stop(),
          pump.stop(),
          ticks.stop(),
          forgetting.stop(),
          worker.stop(),
        ]));
      const whole = { stop };
      workers.add(whole);
      return whole;
    },
    close: () => (closing ??= close()),
  };
}

interface BrokerParts {
  readonly databases: OpenDatabases;
  readonly keyring: Awaited<ReturnType<typeof openKeyring>>;
  readonly vault: Vault;
  readonly pools: ModulePools;
  readonly recorder: Recorder;
  readonly deploymentId: string;
  readonly resolve: BulkheadOptions['resolve'];
  readonly kept: KeptConnections;
  readonly publicUrl: string;
}

function createBrokers({
  databases,
  keyring,
  vault,
  pools,
  recorder,
  deploymentId,
  resolve,
  kept,
  publicUrl,
}: BrokerParts): Brokers {
  const { db } = databases.host;
  const requests = createHostRequests(db);
  return {
    db: createDbBroker({ pools, deploymentId }),
    http: createHttpBroker({
      vault,
      journal: createStepJournal({ db }),
      requests,
      kept,
      ...(resolve === undefined ? {} : { resolve }),
    }),
    smtp: createSmtpBroker({
      vault,
      journal: createMailJournal({ db }),
      name: ehloName(publicUrl),
      ...(resolve === undefined ? {} : { resolve }),
    }),
    mail: createMailBroker({ db, tellers: { mailPerson, tellCategory } }),
    notify: createNotifyBroker({ db, tellers: { mailPerson, tellCategory } }),
    secrets: createSecretsBroker({ vault }),
    crypt: createCryptBroker({ keyring }),
    net: createNetBroker({ requests, ...(resolve === undefined ? {} : { resolve }) }),
    tasks: createTasksBroker({ db }),
    events: createEventsBroker({ db }),
    steps: createStepsBroker({ db }),
    service: createServiceBroker({ db }),
    invoices: createInvoicesBroker({ db }),
    redirect: {},
    clients: createClientsBroker({ db }),
    products: createProductsBroker({ db }),
    logs: createLogsBroker(logSink(recorder)),
    cache: createCacheBroker({ db }),
    compute: {},
    views: {},
  };
}

/** RFC 5321: a host name, or an address in brackets. */
function ehloName(publicUrl: string): string {
  const { hostname } = new URL(publicUrl);
  return isIP(hostname) === 4 ? `[${hostname}]` : hostname;
}

function logSink(recorder: Recorder): LogSink {
  return {
    line: (scope, line) =>
      recorder.log({
        tenant_id: scope.tenantId,
        installation_id: scope.installationId,
        service_id: scope.serviceId,
        task_id: scope.taskId,
        invocation: scope.invocationId,
        account_id: scope.accountId,
        level: v.parse(v.picklist(LOG_LEVELS), line.level),
        action: line.action,
        request: line.request as object | null,
        response: line.response as object | null,
        source: line.source,
      }),
  };
}

/** Module assets lie under the panel's own address, by installation's tenant and version: immutable, so they may be cached for ever. */
function assetBaseAt(publicUrl: string): (installation: Installation) => string {
  const base = new URL(publicUrl).pathname.replace(/\/$/, '');
  return (installation) => `${base}/m/${installation.version.id}/assets/`;
}

/** Webhooks come to one place for all tenants: the unguessable part says whose they are. */
function hookUrlAt(publicUrl: string): (hookId: string) => string {
  const base = publicUrl.replace(/\/$/, '');
  return (hookId) => `${base}/hooks/${hookId}`;
}

const UPLOAD_TOKEN_CHARACTERS = 20;

/** @throws HostError BAD_INPUT for a token that could be guessed */
function uploadTokenOf({ env = process.env }: BulkheadOptions): { uploadToken?: string } {
  const uploadToken = env['BULKHEAD_STORE_TOKEN'];
  if (uploadToken === undefined || uploadToken === '') return {};
  if (uploadToken.length < UPLOAD_TOKEN_CHARACTERS)
    throw new HostError(
      'BAD_INPUT',
      `BULKHEAD_STORE_TOKEN needs at least ${UPLOAD_TOKEN_CHARACTERS} characters. Make one with: openssl rand -base64 32`,
    );
  return { uploadToken };
}

interface PanelParts {
  readonly options: BulkheadOptions;
  readonly databases: OpenDatabases;
  readonly auth: Auth;
  readonly sandbox: Sandbox;
  readonly invoker: Invoker;
  readonly recorder: Recorder;
  readonly installations: Awaited<ReturnType<typeof createInstallations>>;
  readonly versions: ReturnType<typeof createVersions>;
  readonly vault: Vault;
  readonly flows: Flows;
  readonly exporter: Exporter;
  readonly runnerIds: RunnerIds;
  readonly storeClient: StoreClient;
  readonly log: Log;
}

function createPanel(parts: PanelParts): WebDeps {
  const { options, auth, sandbox, invoker, installations, versions, vault, flows, exporter, runnerIds, log } =
    parts;
  const { db } = parts.databases.host;
  const mail = openHostMail(options.env ?? process.env);
  return {
    db,
    now: Date.now,
    publicUrl: options.publicUrl,
    ...(options.clientAddress === undefined ? {} : { clientAddress: options.clientAddress }),
    ...(mail === undefined ? {} : { mail }),
    ...uploadTokenOf(options),
    trustedProxies: options.trustedProxies ?? (options.env ?? process.env)['BULKHEAD_TRUSTED_PROXIES'] ?? '',
    auth,
    gateways: createGateways({ db, installations, invoker }),
    schedules: createScheduleCases(db),
    hosts: createHostCases(db, installations),
    events: { runAgain: (deliveryId) => db.transaction().execute((trx) => runHandlerAgain(trx, deliveryId)) },
    notifications: createNotificationCases(db),
    instances: createInstanceCases({
      db,
      installations,
      vault,
      invoker,
      hookUrl: hookUrlAt(options.publicUrl),
    }),
    catalog: createCatalog({ db, versions, installations, invoker, vault, flows, exporter }),
    billing: createBilling({ db, installations, invoker }),
    invoicing: createInvoicing(db),
    care: createCare({ db, installations, invoker, recorder: parts.recorder }),
    jobs: {
      retry: (taskId) => runTaskAgain(db, taskId, (trx) => retryTask(trx, taskId)),
      cancel: async (taskId) => {
        await cancelTask(db, taskId);
      },
      resume: (taskId) => runTaskAgain(db, taskId, (trx) => resumeTask(trx, taskId)),
      markStepDone: ({ taskId, step, value }) =>
        runTaskAgain(db, taskId, (trx) => markStepDone(trx, taskId, step, value)),
    },
    modules: createModuleCalls({ db, installations, versions, invoker }),
    packages: createPackages({ db, sandbox, runnerIds, installations }),
    stores: createStoreCases({
      db,
      client: parts.storeClient,
      publish: (bytes, how) => publish({ db, sandbox, runnerIds }, bytes, how),
    }),
    openStore: (options.env ?? process.env)['BULKHEAD_STORE'] === 'open',
    tenants: createTenantCases({ db, auth, installations }),
    runners: async () => sandbox.stats().map((runner) => ({ ...runner, id: String(runner.pid) })),
    reportError: (error, context) => log('error', `${context.id} ${context.method} ${context.path}`, error),
  };
}
