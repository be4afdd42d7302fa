/**
 * Entering a module. Whoever wants something of a module (page, webhook, job, flow) comes through here: the context is built from
 * what the host knows, the brokers are bound to this one invocation, the result is judged, and the bill is written.
 */
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { capabilities, type CapabilityName } from '../../sandbox/contract/capabilities.ts';
import { type ErrorCode, HostError, type WireError } from '../../sandbox/contract/envelope.ts';
import { eventCovers } from '../../sandbox/contract/host-events.ts';
import { grantsWithin } from '../../sandbox/contract/grant.ts';
import type {
  InvocationContext,
  InvocationInput,
  InvocationOutput,
  ModuleCall,
  SharedContext,
} from '../../sandbox/contract/invocation.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { LoadInput } from '../../sandbox/contract/wire.ts';
import type { Sandbox, InvokeOutcome } from '../../sandbox/supervisor/sandbox.ts';
import type { Brokers, Purpose } from '../brokers/broker.ts';
import { dispatch } from '../brokers/dispatch.ts';
import type { Tables } from '../database/tables.ts';
import type { Vault } from '../secrets/vault.ts';
import { boundsOf, heapMb } from './bounds.ts';
import type { Breaker } from './breaker.ts';
import { withConfirmed } from './confirmed-hosts.ts';
import { hide } from './hide.ts';
import type { Installation, Installations } from './installations.ts';
import { type Instance, settingsOf } from './instances.ts';
import type { Recorder } from './recorder.ts';
import type { RunnerIds } from './runner-ids.ts';
import { type Deferred, Ending, openScope, type OpenScope } from './scope.ts';
import { newSeed } from './seeds.ts';
import type { Version, Versions } from './versions.ts';

export interface InvokeOptions {
  readonly installationId: string;
  readonly purpose: Purpose;
  /** The calls in order; the last one is what the invocation is for, those before it prepare the instance. */
  readonly calls: readonly ModuleCall[];
  /** The set of settings to run with, of a type that has them; its module_data is made before the calls. */
  readonly instanceId?: string | null;
  /** Where a gateway sends the client back to. */
  readonly pay?: NonNullable<InvocationContext['pay']>;
  readonly serviceId?: string | null;
  readonly productId?: string | null;
  readonly task?: { readonly id: string; readonly attempt: number };
  readonly account?: {
    readonly id: string;
    readonly kind: 'admin' | 'client' | 'operator';
    readonly permissions: readonly string[];
  } | null;
  readonly fromVersion?: string;
  /** Texts that must stand in no log: what a person typed as a password. */
  readonly hide?: readonly string[];
  /** Another version than the one in force: the new one's update(). */
  readonly versionId?: string;
  readonly wallMs?: number;
  readonly signal?: AbortSignal;
  /** Awaited before each of its calls of the host: nothing that it does stays before this has resolved. */
  readonly beforeCalls?: () => Promise<void>;
  /** Looks at the results before anything is committed; what it returns makes the invocation a failure. */
  readonly judge?: (results: InvocationOutput['results']) => WireError | undefined;
}

export interface Invoked {
  readonly results: InvocationOutput['results'];
  readonly usage: InvokeOutcome['usage'];
  /** Work that waits for the caller's own transaction (lifecycle). */
  readonly deferred: readonly Deferred[];
}

/** A module's failure, with what it cost. */
export class InvocationFailed extends HostError {
  readonly usage: InvokeOutcome['usage'];

  constructor(error: WireError, usage: InvokeOutcome['usage']) {
    super(error.code, error.message, { data: error.data });
    this.usage = usage;
  }
}

export interface Invoker {
  /** @throws InvocationFailed with the module's or the sandbox's error; HostError CONFLICT for an installation that is not active */
  invoke(options: InvokeOptions): Promise<Invoked>;
  /** Notes that a grant was used by something that needs no call of the module: 'redirect.hosts:pay.example.com'. */
  used(installationId: string, item: string): void;
  /** Drops an installation's isolate, so that the next call loads what is current. */
  unload(installation: Installation): void;
}

export interface InvokerDeps {
  readonly db: Kysely<Tables>;
  readonly sandbox: Sandbox;
  readonly brokers: Brokers;
  readonly installations: Installations;
  readonly versions: Versions;
  readonly vault: Vault;
  readonly recorder: Recorder;
  readonly runnerIds: RunnerIds;
  readonly breaker: Breaker;
  /** Where a version's assets are served: ends in '/'. */
  readonly assetBase: (installation: Installation) => string;
  /** The whole address of a webhook, by its unguessable part. */
  readonly hookUrl: (hookId: string) => string;
}

/** What a call fails with that reached a limit. */
const REACHED: ReadonlySet<ErrorCode> = new Set(['LIMIT', 'DB_QUOTA']);
const Json = v.record(v.string(), v.unknown());

export function createInvoker(deps: InvokerDeps): Invoker {
  return {
    invoke: (options) => invoke(deps, options),
    used: (installationId, item) => deps.recorder.grantUse(installationId, item, 'used'),
    unload: (installation) => deps.sandbox.unload(installation.tenant.id, isolateKey(installation)),
  };
}

/** Memory is set when an isolate is made: another amount is another isolate. */
function isolateKey(installation: Installation): string {
  return `${installation.id}@${installation.version.version}/${heapMb(installation.grants)}`;
}

async function load(deps: InvokerDeps, installation: Installation): Promise<LoadInput> {
  return { ...(await deps.versions.loadInput(installation.version.id)), heapMb: heapMb(installation.grants) };
}

function checkState(installation: Installation, { purpose, versionId }: InvokeOptions): void {
  const name = `${installation.version.type}/${installation.version.name}`;
  // A pause holds for the version in force; a newer one may be what ends it.
  if (installation.pausedReason !== null && versionId === undefined)
    throw new HostError('CONFLICT', `${name} is paused: ${installation.pausedReason}`);
  if (purpose === 'lifecycle') return;
  // A restricted installation goes on with the version whose update was not yet accepted.
  if (installation.status !== 'active' && installation.status !== 'restricted')
    throw new HostError('CONFLICT', `${name} is not enabled.`);
}

function asVersion(current: Installation, version: Version): Installation {
  const grants = grantsWithin(version.manifest.asks, current.granted, capabilities);
  return { ...current, version, grants: withConfirmed(grants, current.confirmedHosts) };
}

async function invoke(deps: InvokerDeps, options: InvokeOptions): Promise<Invoked> {
  const current = await deps.installations.get(options.installationId);
  const installation =
    options.versionId === undefined
      ? current
      : asVersion(current, await deps.versions.get(options.versionId));
  checkState(installation, options);
  const instance = await findInstance(deps, installation, options.instanceId);
  const about = await buildContext(deps, installation, instance, options);
  const { wallMs, cpuSoftMs, limits } = boundsOf(options.purpose, installation.grants, options.wallMs);
  const ending = new Ending();
  const opened = openScope(
    {
      invocationId: randomUUID(),
      installation,
      instance,
      purpose: options.purpose,
      method: options.calls.at(-1)?.method ?? '',
      serviceId: options.serviceId ?? null,
      taskId: options.task?.id ?? null,
      accountId: options.account?.id ?? null,
      deadlineAt: performance.now() + wallMs,
      ending,
    },
    deps.recorder,
  );
  const { beforeCalls } = options;
  const onCall = async (path: string, input: unknown): Promise<unknown> => {
    if (beforeCalls !== undefined) await beforeCalls();
    return call(deps, opened, ending, path, input);
  };
  const outcome = await deps.sandbox.invoke({
    group: { key: installation.tenant.id, ...deps.runnerIds.tenant(installation.tenant.runnerNumber) },
    module: { key: isolateKey(installation), load: () => load(deps, installation) },
    input: { shared: about.shared, context: about.context, calls: options.calls },
    limits,
    wallMs,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    onCall,
    onNotify: (path, input) =>
      void onCall(path, path === 'logs.write' ? hide(input, options.hide ?? []) : input).catch(
        () => undefined,
      ),
  });
  const error = await settle(opened, outcome, options, ending);
  bill(deps, opened, outcome, error === undefined ? undefined : hide(error, options.hide ?? []), cpuSoftMs);
  if (outcome.killed && error !== undefined)
    await deps.breaker.killed({ installation, method: opened.scope.method, code: error.code });
  if (error !== undefined) throw new InvocationFailed(error, outcome.usage);
  noteHeard(deps.recorder, installation, options.calls);
  const results = outcome.envelope.ok ? outcome.envelope.value.results : [];
  return { results, usage: outcome.usage, deferred: opened.deferred };
}

async function call(
  deps: InvokerDeps,
  opened: OpenScope,
  ending: Ending,
  path: string,
  input: unknown,
): Promise<unknown> {
  if (ending.over) throw new HostError('ENDED', 'The invocation has ended.');
  try {
    return await dispatch(deps.brokers, opened.scope, path, input);
  } catch (error) {
    if (error instanceof HostError) {
      if (error.code === 'NOT_GRANTED') refused(deps.recorder, opened, path, error.message);
      else if (REACHED.has(error.code)) limited(deps.recorder, opened, path, error.message);
    }
    throw error;
  }
}

/** A handler that ran is a use of the grant by which it hears its event. */
function noteHeard(recorder: Recorder, installation: Installation, calls: readonly ModuleCall[]): void {
  const heard = calls.find(({ target }) => target.on === 'hook')?.method;
  if (heard === undefined) return;
  for (const { capability, field, item, id } of installation.version.manifest.asks)
    if (capability === 'events' && field === 'listen' && eventCovers(item, heard))
      recorder.grantUse(installation.id, id, 'used');
}

/** A refusal is for the admin to see: something wanted more than it was allowed. */
function refused(recorder: Recorder, opened: OpenScope, path: string, message: string): void {
  const { scope } = opened;
  recorder.grantUse(scope.installationId, path, 'refused');
  recorder.usage(scope.installationId, { refused: 1 });
  tellAdmin(recorder, opened, `refused: ${path}`, message);
}

/** A call that reached a limit of its own: the module hears it, the admin reads it, and it counts. */
function limited(recorder: Recorder, opened: OpenScope, path: string, message: string): void {
  recorder.usage(opened.scope.installationId, { refused: 1 });
  tellAdmin(recorder, opened, `limit: ${path}`, message);
}

function tellAdmin(recorder: Recorder, opened: OpenScope, action: string, message: string): void {
  opened.refusals++;
  if (opened.refusals > LIMITS.refusalsTold) return;
  const rest =
    opened.refusals === LIMITS.refusalsTold ? ' Further refusals of this run are only counted.' : '';
  hostLog(recorder, opened, 'warning', action, message + rest);
}

function hostLog(
  recorder: Recorder,
  { scope }: OpenScope,
  level: 'warning' | 'error',
  action: string,
  text: string,
): void {
  recorder.log({
    tenant_id: scope.tenantId,
    installation_id: scope.installationId,
    service_id: scope.serviceId,
    task_id: scope.taskId,
    invocation: scope.invocationId,
    account_id: scope.accountId,
    level,
    action: action.slice(0, 200),
    request: text,
    source: 'host',
  });
}

/** Ends the invocation's scope: commit or roll back, then nothing of it can call any more. */
async function settle(
  opened: OpenScope,
  outcome: InvokeOutcome,
  options: InvokeOptions,
  ending: Ending,
): Promise<WireError | undefined> {
  const { envelope } = outcome;
  let error = envelope.ok ? options.judge?.(envelope.value.results) : envelope.error;
  if (error !== undefined) ending.end();
  try {
    await opened.finish(error === undefined);
  } catch (failure) {
    error ??=
      failure instanceof HostError
        ? failure.toWire()
        : { code: 'INTERNAL', message: 'Something went wrong on our side while the invocation ended.' };
  }
  ending.end();
  return error;
}

function bill(
  deps: InvokerDeps,
  opened: OpenScope,
  outcome: InvokeOutcome,
  error: WireError | undefined,
  cpuSoftMs: number,
): void {
  const { recorder } = deps;
  const { usage } = outcome;
  recorder.usage(opened.scope.installationId, {
    invocations: 1,
    errors: error === undefined ? 0 : 1,
    killed: outcome.killed ? 1 : 0,
    capabilityCalls: usage.calls,
    cpuUs: usage.cpuUs,
    wallMs: usage.wallMs,
  });
  if (error !== undefined)
    hostLog(recorder, opened, 'error', `${opened.scope.method}: ${error.code}`, error.message);
  else if (usage.cpuUs > cpuSoftMs * 1_000) {
    hostLog(
      recorder,
      opened,
      'warning',
      `${opened.scope.method}: slow`,
      `Used ${Math.round(usage.cpuUs / 1_000)} ms of processor time; it is stopped at its hard limit.`,
    );
  }
}

/** Of this very installation: another's settings and secrets are never mixed in. @throws HostError NOT_FOUND */
async function findInstance(
  deps: InvokerDeps,
  installation: Installation,
  instanceId: string | null | undefined,
): Promise<Instance | null> {
  if (instanceId === null || instanceId === undefined) return null;
  const instance = await deps.installations.instance(instanceId);
  if (instance.installationId !== installation.id)
    throw new HostError('NOT_FOUND', 'There is no such instance of this module.');
  return instance;
}

async function buildContext(
  deps: InvokerDeps,
  installation: Installation,
  instance: Instance | null,
  options: InvokeOptions,
): Promise<Pick<InvocationInput, 'shared' | 'context'>> {
  const [secrets, service] = await Promise.all([
    deps.vault.handles({ installationId: installation.id, instanceId: instance?.id ?? null }),
    readService(deps.db, installation, options.serviceId),
  ]);
  const product = await readProduct(deps.db, installation, options.productId ?? service?.productId);
  return {
    shared: sharedContext(deps, installation, instance, secrets),
    context: {
      auth: options.account ?? null,
      product: product ?? null,
      service:
        service === undefined
          ? null
          : { uuid: service.uuid, data: service.data, provision_data: service.provisionData },
      instance: instance === null ? null : { uuid: instance.id, name: instance.name },
      pay: options.pay ?? null,
      task: options.task === undefined ? null : { uuid: options.task.id, attempt: options.task.attempt },
      from_version: options.fromVersion ?? null,
      now: Date.now(),
      seed: newSeed(),
    },
  };
}

interface KnownContext {
  readonly installation: Installation;
  readonly instance: Instance | null;
  readonly shared: SharedContext;
}
/** By the handles of the secrets, which are read anew every few seconds. */
const knownContexts = new WeakMap<object, KnownContext>();

/** The same object until a snapshot or a secret changes, so that it is written as text once. */
function sharedContext(
  deps: InvokerDeps,
  installation: Installation,
  instance: Instance | null,
  secrets: SharedContext['secrets'],
): SharedContext {
  const known = knownContexts.get(secrets);
  if (known?.installation === installation && known.instance === instance) return known.shared;
  const { version, tenant, grants } = installation;
  const { type, name, manifest } = version;
  const shared: SharedContext = {
    module: { type, name, version: version.version },
    capabilities: Object.keys(capabilities).filter(
      (capability) =>
        capabilities[capability as CapabilityName].inherent || Object.hasOwn(grants, capability),
    ),
    config: {
      ...manifest.config,
      ...defaults(manifest.settings),
      ...settingsOf(installation, instance),
      ...secrets,
    },
    secrets,
    tenant: {
      uuid: tenant.id,
      name: tenant.name,
      locale: tenant.locale,
      currency: tenant.currency,
      timezone: tenant.timezone,
    },
    locale: tenant.locale,
    asset_base: deps.assetBase(installation),
    webhook_url: deps.hookUrl(instance?.hookId ?? installation.hookId),
  };
  knownContexts.set(secrets, { installation, instance, shared });
  return shared;
}

function defaults(fields: Installation['version']['manifest']['settings']): Record<string, unknown> {
  return Object.fromEntries(
    fields.filter((field) => field.default !== undefined).map((field) => [field.key, field.default]),
  );
}

async function readService(
  db: Kysely<Tables>,
  installation: Installation,
  serviceId: string | null | undefined,
): Promise<
  | { uuid: string; productId: string; data: Record<string, unknown>; provisionData: Record<string, unknown> }
  | undefined
> {
  if (serviceId === null || serviceId === undefined) return undefined;
  const row = await db
    .selectFrom('services')
    .select(['id', 'product_id', 'data', 'provision_data'])
    .where('id', '=', serviceId)
    .where('installation_id', '=', installation.id)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such service of this module.');
  return {
    uuid: row.id,
    productId: row.product_id,
    data: v.parse(Json, row.data),
    provisionData: v.parse(Json, row.provision_data),
  };
}

async function readProduct(
  db: Kysely<Tables>,
  installation: Installation,
  productId: string | null | undefined,
): Promise<{ uuid: string; data: Record<string, unknown> } | undefined> {
  if (productId === null || productId === undefined) return undefined;
  const row = await db
    .selectFrom('products')
    .select(['id', 'data'])
    .where('id', '=', productId)
    .where('installation_id', '=', installation.id)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such product of this module.');
  return { uuid: row.id, data: v.parse(Json, row.data) };
}
