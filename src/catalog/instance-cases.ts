/**
 * What an admin does with instances: sets of settings of a module whose type has them, each with secrets and a webhook address of its
 * own. The fields are the manifest's; a module may draw the form itself, the checking stays with the host.
 */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { hasInstances } from '../../sandbox/contract/kinds.ts';
import { storable } from '../database/storable.ts';
import type { Tables } from '../database/tables.ts';
import type { Vault } from '../secrets/vault.ts';
import type { FormResult, InstanceCases, InstanceForm } from '../web/deps.ts';
import { withOptions } from './field-options.ts';
import { checkFields } from './fields.ts';
import type { Installations } from './installations.ts';
import type { Invoker } from './invoke.ts';
import type { Version } from './versions.ts';

export interface InstanceDeps {
  readonly db: Kysely<Tables>;
  readonly installations: Installations;
  readonly vault: Vault;
  readonly invoker: Invoker;
  readonly hookUrl: (hookId: string) => string;
}

export const INSTANCE_LIMITS = Object.freeze({ perInstallation: 50, nameCharacters: 100 });
const UNIQUE_VIOLATION = '23505';
const Settings = v.record(v.string(), v.unknown());

export function createInstanceCases(deps: InstanceDeps): InstanceCases {
  return {
    create: (input) => create(deps, input),
    rename: (input) => rename(deps, input),
    setActive: (input) => setActive(deps, input),
    remove: (instanceId) => remove(deps, instanceId),
    form: (instanceId) => form(deps, instanceId),
    save: (input) => save(deps, input),
  };
}

function wrongName(name: string): FormResult<never> | undefined {
  if (name !== '' && name.length <= INSTANCE_LIMITS.nameCharacters) return undefined;
  const text = `A name of at most ${INSTANCE_LIMITS.nameCharacters} characters is expected.`;
  return { ok: false, errors: { name: [text] } };
}

const TAKEN: FormResult<never> = {
  ok: false,
  errors: { name: ['Another one of this module has this name.'] },
};

function failedFor(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

async function create(
  deps: InstanceDeps,
  input: Parameters<InstanceCases['create']>[0],
): Promise<FormResult<{ instanceId: string }>> {
  const { id, tenant, version } = await deps.installations.get(input.installationId);
  if (!hasInstances(version.type))
    throw new HostError('CONFLICT', `A ${version.type} module has one set of settings only.`);
  const name = input.name.trim();
  const wrong = wrongName(name);
  if (wrong !== undefined) return wrong;
  return deps.db.transaction().execute(async (trx) => {
    await trx.selectFrom('installations').select('id').where('id', '=', id).forNoKeyUpdate().execute();
    const present = await trx
      .selectFrom('instances')
      .select('name')
      .where('installation_id', '=', id)
      .execute();
    if (present.some((row) => row.name === name)) return TAKEN;
    if (present.length >= INSTANCE_LIMITS.perInstallation)
      throw new HostError('LIMIT', `A module has at most ${INSTANCE_LIMITS.perInstallation} instances.`);
    const row = await trx
      .insertInto('instances')
      .values({ tenant_id: tenant.id, installation_id: id, name, settings: defaultsOf(version) })
      .returning('id')
      .executeTakeFirstOrThrow();
    return { ok: true, instanceId: row.id };
  });
}

function defaultsOf(version: Version): Record<string, unknown> {
  const fields = version.manifest.settings.filter((field) => field.default !== undefined);
  return v.parse(Settings, storable(Object.fromEntries(fields.map((field) => [field.key, field.default]))));
}

async function rename(
  deps: InstanceDeps,
  input: Parameters<InstanceCases['rename']>[0],
): Promise<FormResult> {
  const name = input.name.trim();
  const wrong = wrongName(name);
  if (wrong !== undefined) return wrong;
  try {
    await deps.db.updateTable('instances').set({ name }).where('id', '=', input.instanceId).execute();
  } catch (error) {
    if (failedFor(error, UNIQUE_VIOLATION)) return TAKEN;
    throw error;
  }
  await changed(deps, input.instanceId);
  return { ok: true };
}

async function changed(deps: InstanceDeps, instanceId: string): Promise<void> {
  const { installationId } = await deps.installations.instance(instanceId);
  await deps.installations.changed(installationId);
}

async function setActive(
  deps: InstanceDeps,
  { instanceId, active }: Parameters<InstanceCases['setActive']>[0],
): Promise<void> {
  await deps.db.updateTable('instances').set({ active }).where('id', '=', instanceId).execute();
  await changed(deps, instanceId);
}

async function remove(deps: InstanceDeps, instanceId: string): Promise<void> {
  const { installationId } = await deps.installations.instance(instanceId);
  const { numDeletedRows } = await deps.db
    .deleteFrom('instances')
    .where('id', '=', instanceId)
    .where((e) =>
      e.not(
        e.exists(
          e
            .selectFrom('payments')
            .select('payments.id')
            .whereRef('payments.instance_id', '=', 'instances.id'),
        ),
      ),
    )
    .executeTakeFirst();
  if (numDeletedRows === 0n)
    throw new HostError(
      'CONFLICT',
      'Payments came through it, and refunds would have to go back through it. Switch it off instead.',
    );
  deps.vault.forget(installationId);
  await deps.installations.changed(installationId);
}

async function form(deps: InstanceDeps, instanceId: string): Promise<InstanceForm> {
  const instance = await deps.installations.instance(instanceId);
  const { id: installationId, version } = await deps.installations.get(instance.installationId);
  const handles = await deps.vault.handles({ installationId, instanceId });
  const takesDeliveries = ['apiWebhookPost', 'apiWebhookGet'].some((method) => version.methods.has(method));
  return {
    fields: await withOptions(
      deps.invoker,
      { installationId, instanceId },
      version.manifest.settings,
      instance.settings,
    ),
    values: { ...version.manifest.config, ...instance.settings },
    secretsSet: Object.keys(handles),
    webhookUrl: takesDeliveries ? deps.hookUrl(instance.hookId) : null,
    html: version.declaration.own_methods.includes('getSettingsPage'),
  };
}

async function save(deps: InstanceDeps, input: Parameters<InstanceCases['save']>[0]): Promise<FormResult> {
  const instance = await deps.installations.instance(input.instanceId);
  const { version } = await deps.installations.get(instance.installationId);
  const at = { installationId: instance.installationId, instanceId: instance.id };
  const fields = await withOptions(deps.invoker, at, version.manifest.settings, instance.settings);
  const secretsSet = Object.keys(await deps.vault.handles(at));
  const { values, secrets, errors } = checkFields(fields, input.values, secretsSet);
  // Nothing is stored of a form that has a mistake.
  if (Object.keys(errors).length > 0) return { ok: false, errors };
  const owner = { installationId: instance.installationId, instanceId: instance.id };
  await deps.db.transaction().execute(async (trx) => {
    for (const [name, value] of Object.entries(secrets)) await deps.vault.put(owner, name, value, [], trx);
    await trx
      .updateTable('instances')
      .set({ settings: v.parse(Settings, storable(values)) })
      .where('id', '=', instance.id)
      .execute();
  });
  deps.vault.forget(instance.installationId);
  await deps.installations.changed(instance.installationId);
  return { ok: true };
}
