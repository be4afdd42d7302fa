/**
 * The flows of an installation's life: enable, update, disable, purge. Each step may run again from its beginning: activate() and
 * update() are idempotent by contract, schemas are made "if not there", and a status is flipped in the same step that earned it.
 */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError, type WireError } from '../../sandbox/contract/envelope.ts';
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
            calls: [{ target: { on: 'module' }, method: 'activate', args: [] }],
            judge: judgeLifecycle,
          });
          for (const work of deferred) await work();
          await setStatus(deps, installationId, { status: 'active', status_reason: null });
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
          const { installationId, fromVersion, toVersionId } = v.parse(UpdateState, state);
          const before = await deps.installations.get(installationId);
          const { deferred } = await deps.invoker.invoke({
            installationId,
            versionId: toVersionId,
            fromVersion,
            purpose: 'lifecycle',
            calls: [{ target: { on: 'module' }, method: 'update', args: [fromVersion] }],
            judge: judgeLifecycle,
          });
          for (const work of deferred) await work();
          await setStatus(deps, installationId, {
            status: 'active',
            status_reason: null,
            version_id: toVersionId,
            pending_version_id: null,
          });
          deps.invoker.unload(before);
        },
      },
    ],
    onFailure: (state, error) =>
      setStatus(deps, idOf(state), { status: 'restricted', status_reason: reason('update()', error) }),
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
          const said = await deactivate(deps, installationId);
          await setStatus(deps, installationId, { status: 'inactive', status_reason: said });
          deps.invoker.unload(await deps.installations.get(installationId));
        },
      },
      { name: 'pools', run: (state) => deps.drainPools(installationNames(deps.deploymentId, idOf(state))) },
    ],
  };
}

async function deactivate(deps: LifecycleDeps, installationId: string): Promise<string | null> {
  try {
    const { deferred } = await deps.invoker.invoke({
      installationId,
      purpose: 'lifecycle',
      calls: [{ target: { on: 'module' }, method: 'deactivate', args: [] }],
      judge: judgeLifecycle,
    });
    for (const work of deferred) await work();
    return null;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return reason('deactivate()', error);
  }
}

/** The module's own data is dropped for good. Only after a person confirmed it, and only of what is switched off. */
function purgeFlow(deps: LifecycleDeps): FlowDefinition {
  return {
    kind: 'purge',
    steps: [
      {
        name: 'drop',
        async run(state) {
          const installationId = idOf(state);
          const names = installationNames(deps.deploymentId, installationId);
          await deps.drainPools(names);
          await dropInstallationSchema(deps.modulesSql, names);
          await deps.db
            .updateTable('installations')
            .set({ schema_name: null })
            .where('id', '=', installationId)
            .execute();
          await deps.installations.changed(installationId);
        },
      },
    ],
  };
}

function reason(method: string, error: WireError): string {
  return `${method}: ${error.message}`.slice(0, 1_000);
}
