/**
 * The flows of an installation's life: enable, update, disable, purge. Each step may run again from its beginning: activate() and
 * update() are idempotent by contract, schemas are made "if not there", and a status is flipped in the same step that earned it.
 */
import type { Kysely, Transaction } from 'kysely';
import * as v from 'valibot';
import { HostError, type WireError } from '../../sandbox/contract/envelope.ts';
import type { ModuleCall } from '../../sandbox/contract/invocation.ts';
import type { HostSql } from '../database/connect.ts';
import type { Tables } from '../database/tables.ts';
import { createInstallationSchema, dropInstallationSchema } from '../database/modules/installation-schema.ts';
import { type InstallationNames, installationNames } from '../database/modules/names.ts';
import type { RolePassword } from '../database/modules/passwords.ts';
import { type FlowDefinition, type FlowState, StepEnd } from '../flows/executor.ts';
import { lockPlaces, promote } from '../jobs/places.ts';
import { syncSchedules } from '../schedules/store.ts';
import { judgeLifecycle } from './answers.ts';
import type { Installation, Installations } from './installations.ts';
import type { Invoker } from './invoke.ts';
import { refuseUnlessOff, uninstallFlow } from './uninstall.ts';
import { tellOfModule, tellOfUpdate } from './module-events.ts';
import type { Deferred } from './scope.ts';
import { refuseRevoked, type Versions } from './versions.ts';

export interface LifecycleDeps {
  readonly db: Kysely<Tables>;
  /** As the host, in the modules' database. */
  readonly modulesSql: HostSql;
  readonly deploymentId: string;
  readonly rolePassword: RolePassword;
  readonly installations: Installations;
  readonly versions: Versions;
  readonly invoker: Invoker;
  /** Closes an installation's own database connections. */
  readonly drainPools: (names: InstallationNames) => Promise<void>;
}

const State = v.object({ installationId: v.string() });
const UpdateState = v.object({
  installationId: v.string(),
  fromVersion: v.string(),
  toVersionId: v.string(),
  /** It was switched off when the update was accepted: after update() comes activate(). */
  off: v.boolean(),
});

export function lifecycleFlows(deps: LifecycleDeps): FlowDefinition[] {
  return [
    enableFlow(deps),
    updateFlow(deps),
    disableFlow(deps),
    purgeFlow(deps),
    uninstallFlow(deps.installations),
  ];
}

function idOf(state: FlowState): string {
  return v.parse(State, state).installationId;
}

interface Change {
  readonly status?: 'active' | 'inactive' | 'error' | 'restricted';
  readonly status_reason?: string | null;
  readonly version_id?: string;
  readonly pending_version_id?: null;
  readonly previous_version_id?: string;
  readonly paused_at?: null;
  readonly paused_reason?: null;
  readonly schema_name?: string | null;
}

/**
 * Ends a step with a change of its installation, and with what the module asked for meanwhile: all of it, once, or none. Tasks find their
 * places as the new status gives them.
 */
function changing(
  deps: LifecycleDeps,
  installationId: string,
  change: Change | undefined,
  deferred: readonly Deferred[] = [],
): StepEnd {
  return new StepEnd(
    async (trx) => {
      if (change !== undefined)
        await trx.updateTable('installations').set(change).where('id', '=', installationId).execute();
      for (const work of deferred) await work(trx);
      const places = await lockPlaces(trx, installationId);
      if (places !== undefined) await promote(trx, places);
      await deps.installations.announce(trx, installationId);
    },
    () => deps.installations.forget(),
  );
}

async function makeSchema(deps: LifecycleDeps, installationId: string): Promise<StepEnd | void> {
  const installation = await deps.installations.get(installationId);
  if (!Object.hasOwn(installation.granted, 'db')) return;
  const names = installationNames(deps.deploymentId, installationId);
  await createInstallationSchema(deps.modulesSql, names, deps.rolePassword);
  return changing(deps, installationId, { schema_name: names.schema });
}

function onModule(method: string, ...args: readonly unknown[]): ModuleCall {
  return { target: { on: 'module' }, method, args };
}

function enableFlow(deps: LifecycleDeps): FlowDefinition {
  return {
    kind: 'enable',
    steps: [
      { name: 'schema', run: (state) => makeSchema(deps, idOf(state)) },
      {
        name: 'activate',
        async run(state) {
          const installationId = idOf(state);
          const { deferred } = await deps.invoker.invoke({
            installationId,
            purpose: 'lifecycle',
            calls: [onModule('activate')],
            judge: judgeLifecycle,
          });
          const installation = await deps.installations.get(installationId);
          const told = tellOfModule('ModuleActivated', installation);
          return changing(deps, installationId, { status: 'active', status_reason: null }, [
            ...deferred,
            told,
            (trx) => syncSchedules(trx, installation, installation.version),
          ]);
        },
      },
    ],
    onFailure: async (state, error) =>
      changing(deps, idOf(state), { status: 'error', status_reason: reason('activate()', error) }),
  };
}

function updateFlow(deps: LifecycleDeps): FlowDefinition {
  return {
    kind: 'update',
    steps: [
      { name: 'schema', run: (state) => makeSchema(deps, idOf(state)) },
      {
        name: 'update',
        async run(state) {
          const { installationId, fromVersion, toVersionId, off } = v.parse(UpdateState, state);
          const before = await deps.installations.get(installationId);
          const { deferred } = await deps.invoker.invoke({
            installationId,
            versionId: toVersionId,
            fromVersion,
            purpose: 'lifecycle',
            calls: [onModule('update', fromVersion), ...(off ? [onModule('activate')] : [])],
            judge: judgeLifecycle,
          });
          const change = {
            status: 'active' as const,
            status_reason: null,
            version_id: toVersionId,
            pending_version_id: null,
            // Where to go back to: not to one that the breaker had stopped.
            ...(before.pausedReason === null ? { previous_version_id: before.version.id } : {}),
            // A pause was for the version that ran before: the one that was there when the update began, not one that came meanwhile.
            ...(before.pausedReason === null ? {} : { paused_at: null, paused_reason: null }),
          };
          const version = await deps.versions.get(toVersionId);
          const told = tellOfUpdate(before, version, fromVersion);
          const sync: Deferred = (trx) => syncSchedules(trx, before, version);
          const end = changing(deps, installationId, change, [...deferred, told, sync]);
          const write = async (trx: Transaction<Tables>): Promise<void> => {
            // It may have been revoked while it waited for its turn.
            await refuseRevoked(trx, toVersionId);
            await end.write(trx);
          };
          return unloading(deps, before, new StepEnd(write, end.after));
        },
      },
    ],
    onFailure: async (state, error) =>
      changing(deps, idOf(state), {
        // 'restricted' lets the old version run; one that was off stays off.
        status: v.parse(UpdateState, state).off ? 'error' : 'restricted',
        status_reason: reason('update()', error),
      }),
  };
}

/** An admin can always switch a module off: what deactivate() says is kept as the reason and stops nothing. */
function disableFlow(deps: LifecycleDeps): FlowDefinition {
  return {
    kind: 'disable',
    steps: [
      {
        name: 'deactivate',
        async run(state) {
          const installationId = idOf(state);
          const { said, deferred } = await leave(deps, installationId, 'deactivate');
          const change = { status: 'inactive' as const, status_reason: said };
          const installation = await deps.installations.get(installationId);
          const told = tellOfModule('ModuleDeactivated', installation);
          return unloading(deps, installation, changing(deps, installationId, change, [...deferred, told]));
        },
      },
      { name: 'pools', run: (state) => deps.drainPools(installationNames(deps.deploymentId, idOf(state))) },
    ],
  };
}

/** The module's last word before it is switched off or purged. What it says, if it is not 'success'; nothing hangs on it. */
async function leave(
  deps: LifecycleDeps,
  installationId: string,
  method: 'deactivate' | 'purge',
): Promise<{ said: string | null; deferred: readonly Deferred[] }> {
  try {
    const { deferred } = await deps.invoker.invoke({
      installationId,
      purpose: 'lifecycle',
      calls: [onModule(method)],
      judge: judgeLifecycle,
    });
    return { said: null, deferred };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { said: reason(`${method}()`, error), deferred: [] };
  }
}

/** The module's own data is dropped for good. Only after a person confirmed it, and only of what is switched off. */
function purgeFlow(deps: LifecycleDeps): FlowDefinition {
  return {
    kind: 'purge',
    steps: [
      {
        name: 'module',
        async run(state) {
          const installation = await deps.installations.get(idOf(state));
          // From its row: what is cached may be older than what was done before this flow's turn came.
          refuseUnlessOff(await readStatus(deps.db, installation.id));
          if (installation.schemaName === null) return;
          const { deferred } = await leave(deps, installation.id, 'purge');
          return unloading(deps, installation, changing(deps, installation.id, undefined, deferred));
        },
      },
      { name: 'drop', run: (state) => dropSchema(deps, idOf(state)) },
    ],
  };
}

async function readStatus(db: Kysely<Tables>, id: string): Promise<Pick<Installation, 'status'>> {
  return db.selectFrom('installations').select('status').where('id', '=', id).executeTakeFirstOrThrow();
}

async function dropSchema(deps: LifecycleDeps, installationId: string): Promise<StepEnd> {
  const names = installationNames(deps.deploymentId, installationId);
  await deps.drainPools(names);
  await dropInstallationSchema(deps.modulesSql, names);
  return changing(deps, installationId, { schema_name: null });
}

function unloading(deps: LifecycleDeps, installation: Installation, end: StepEnd): StepEnd {
  return new StepEnd(end.write, () => {
    end.after();
    deps.invoker.unload(installation);
  });
}

/**
 * Whether an installation's data was made by a version before: then a newer one has something to update. A first activate() that
 * failed made nothing, and after a purge there is nothing left.
 */
export async function wasActivated(db: Kysely<Tables>, installationId: string): Promise<boolean> {
  const last = await db
    .selectFrom('flows')
    .select('kind')
    .where('subject', '=', `installation:${installationId}`)
    .where('kind', 'in', ['enable', 'update', 'purge'])
    .where('status', '=', 'done')
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
  return last !== undefined && last.kind !== 'purge';
}

function reason(method: string, error: WireError): string {
  return `${method}: ${error.message}`.slice(0, 1_000);
}
