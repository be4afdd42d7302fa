/**
 * The flows of an installation's life: enable, update, disable, purge. Each step may run again from its beginning: activate() and
 * update() are idempotent by contract, schemas are made "if not there", and a status is flipped in the same step that earned it.
 */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError, type WireError } from '../../sandbox/contract/envelope.ts';
import type { ModuleCall } from '../../sandbox/contract/invocation.ts';
import type { HostSql } from '../database/connect.ts';
import type { Tables } from '../database/tables.ts';
import { createInstallationSchema, dropInstallationSchema } from '../database/modules/installation-schema.ts';
import { type InstallationNames, installationNames } from '../database/modules/names.ts';
import type { RolePassword } from '../database/modules/passwords.ts';
import type { FlowDefinition, FlowState } from '../flows/executor.ts';
import { judgeLifecycle } from './answers.ts';
import type { Installations } from './installations.ts';
import type { Invoker } from './invoke.ts';

export interface LifecycleDeps {
  readonly db: Kysely<Tables>;
  /** As the host, in the modules' database. */
  readonly modulesSql: HostSql;
  readonly deploymentId: string;
  readonly rolePassword: RolePassword;
  readonly installations: Installations;
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
  return [enableFlow(deps), updateFlow(deps), disableFlow(deps), purgeFlow(deps)];
}

function idOf(state: FlowState): string {
  return v.parse(State, state).installationId;
}

async function setStatus(
  deps: LifecycleDeps,
  installationId: string,
  change: {
    status: 'active' | 'inactive' | 'error' | 'restricted';
    status_reason: string | null;
    version_id?: string;
    pending_version_id?: null;
    paused_at?: null;
    paused_reason?: null;
  },
): Promise<void> {
  await deps.db.updateTable('installations').set(change).where('id', '=', installationId).execute();
  await deps.installations.changed(installationId);
}

async function makeSchema(deps: LifecycleDeps, installationId: string): Promise<void> {
  const installation = await deps.installations.get(installationId);
  if (!Object.hasOwn(installation.grants, 'db')) return;
  const names = installationNames(deps.deploymentId, installationId);
  await createInstallationSchema(deps.modulesSql, names, deps.rolePassword);
  await deps.db
    .updateTable('installations')
    .set({ schema_name: names.schema })
    .where('id', '=', installationId)
    .execute();
  await deps.installations.changed(installationId);
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
          // Active first: a worker may take what activate() queued at once. A crash in between runs this step again.
          await setStatus(deps, installationId, { status: 'active', status_reason: null });
          for (const work of deferred) await work();
        },
      },
    ],
    onFailure: (state, error) =>
      setStatus(deps, idOf(state), { status: 'error', status_reason: reason('activate()', error) }),
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
          // A pause was for the version that ran before.
          await setStatus(deps, installationId, {
            status: 'active',
            status_reason: null,
            version_id: toVersionId,
            pending_version_id: null,
            paused_at: null,
            paused_reason: null,
          });
          deps.invoker.unload(before);
          for (const work of deferred) await work();
        },
      },
    ],
    onFailure: (state, error) =>
      setStatus(deps, idOf(state), {
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
          const said = await leave(deps, installationId, 'deactivate');
          await setStatus(deps, installationId, { status: 'inactive', status_reason: said });
          deps.invoker.unload(await deps.installations.get(installationId));
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
): Promise<string | null> {
  try {
    const { deferred } = await deps.invoker.invoke({
      installationId,
      purpose: 'lifecycle',
      calls: [onModule(method)],
      judge: judgeLifecycle,
    });
    for (const work of deferred) await work();
    return null;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return reason(`${method}()`, error);
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
          if (installation.schemaName === null) return;
          await leave(deps, installation.id, 'purge');
          deps.invoker.unload(installation);
        },
      },
      { name: 'drop', run: (state) => dropSchema(deps, idOf(state)) },
    ],
  };
}

async function dropSchema(deps: LifecycleDeps, installationId: string): Promise<void> {
  const names = installationNames(deps.deploymentId, installationId);
  await deps.drainPools(names);
  await dropInstallationSchema(deps.modulesSql, names);
  await deps.db
    .updateTable('installations')
    .set({ schema_name: null })
    .where('id', '=', installationId)
    .execute();
  await deps.installations.changed(installationId);
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
