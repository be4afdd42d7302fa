/** What an admin does with modules: find, install, grant, enable, configure, update, switch off. The panel's use cases for modules. */
import type { Kysely, Transaction } from 'kysely';
import semver from 'semver';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { hasInstances } from '../../sandbox/contract/kinds.ts';
import {
  type Ask,
  type Grants,
  grantsFrom,
  grantsWithin,
  isAskedBy,
  mergedGrants,
} from '../../sandbox/contract/grant.ts';
import type { Tables } from '../database/tables.ts';
import type { Flows } from '../flows/executor.ts';
import { syncSchedules } from '../schedules/store.ts';
import type { Vault } from '../secrets/vault.ts';
import type { Catalog, FormResult, FormView, StoreEntry, StorePage } from '../web/deps.ts';
import type { Exporter } from './export.ts';
import { withOptions } from './field-options.ts';
import { checkFields } from './fields.ts';
import { consentLines, consentOf, missingMandatory, readUses } from './consent.ts';
import type { Installation, Installations } from './installations.ts';
import type { Invoker } from './invoke.ts';
import { wasActivated } from './lifecycle.ts';
import { createProducts } from './products.ts';
import { rollback } from './rollback.ts';
import { isOff, refuseUnlessOff } from './uninstall.ts';
import { refuseRevoked, type Version, type Versions } from './versions.ts';

export interface CatalogDeps {
  readonly db: Kysely<Tables>;
  readonly versions: Versions;
  readonly installations: Installations;
  readonly invoker: Invoker;
  readonly vault: Vault;
  readonly flows: Flows;
  readonly exporter: Exporter;
}

export function createCatalog(deps: CatalogDeps): Catalog {
  return {
    search: (text) => search(deps, text),
    modulePage: (moduleId) => modulePage(deps, moduleId),
    install: (input) => install(deps, input),
    consent: (installationId) => consent(deps, installationId),
    grant: (input) => grant(deps, input),
    enable: (installationId) => enable(deps, installationId),
    disable: (installationId) => runFlow(deps, 'disable', installationId),
    uninstall: (installationId) => uninstall(deps, installationId),
    purge: (installationId) => purge(deps, installationId),
    exportData: deps.exporter,
    unpause: (installationId) => unpause(deps, installationId),
    rollback: (installationId) => rollback(deps, installationId),
    update: (input) => update(deps, input),
    settings: (installationId) => settings(deps, installationId),
    saveSettings: (input) => saveSettings(deps, input),
    ...createProducts(deps),
  };
}

/** Published versions, newest first within each module. */
async function publishedVersions(
  deps: CatalogDeps,
  moduleId?: string,
): Promise<{ version: Version; publishedAt: Date }[]> {
  let query = deps.db
    .selectFrom('module_versions')
    .select(['id', 'published_at'])
    .where('status', '=', 'published');
  if (moduleId !== undefined) query = query.where('module_id', '=', moduleId);
  const rows = await query.execute();
  const versions = await Promise.all(
    rows.map(async (row) => ({ version: await deps.versions.get(row.id), publishedAt: row.published_at })),
  );
  return versions.sort((a, b) => semver.rcompare(a.version.version, b.version.version));
}

function entryOf({ version, publishedAt }: { version: Version; publishedAt: Date }): StoreEntry {
  const { manifest } = version;
  return {
    moduleId: version.moduleId,
    publisher: version.publisher,
    type: version.type,
    name: version.name,
    title: manifest.title,
    description: manifest.description,
    icon: manifest.icon,
    version: version.version,
    versionId: version.id,
    publishedAt,
  };
}

async function search(deps: CatalogDeps, text: string): Promise<StoreEntry[]> {
  const newest = new Map<string, StoreEntry>();
  for (const found of await publishedVersions(deps))
    if (!newest.has(found.version.moduleId)) newest.set(found.version.moduleId, entryOf(found));
  const wanted = text.trim().toLowerCase();
  const holds = (entry: StoreEntry): boolean =>
    [entry.title, entry.name, entry.publisher, entry.description, entry.type].some((part) =>
      part.toLowerCase().includes(wanted),
    );
  return [...newest.values()].filter(holds).sort((a, b) => a.title.localeCompare(b.title));
}

async function modulePage(deps: CatalogDeps, moduleId: string): Promise<StorePage> {
  const newest = (await publishedVersions(deps, moduleId))[0];
  if (newest === undefined) throw new HostError('NOT_FOUND', 'There is no such module in the store.');
  const publisher = await deps.db
    .selectFrom('publishers')
    .selectAll()
    .where('name', '=', newest.version.publisher)
    .executeTakeFirstOrThrow();
  const versions = await deps.db
    .selectFrom('module_versions as version')
    .innerJoin('packages as package', 'package.sha256', 'version.package_sha256')
    .select([
      'version.id',
      'version.version',
      'version.status',
      'version.published_at as publishedAt',
      'package.size_bytes as sizeBytes',
    ])
    .where('version.module_id', '=', moduleId)
    .execute();
  const { manifest, declaration } = newest.version;
  return {
    ...entryOf(newest),
    fingerprint: publisher.fingerprint,
    pinnedAt: publisher.pinned_at,
    author: manifest.author,
    email: manifest.email,
    website: manifest.website,
    logo: await logoOf(deps, newest.version),
    versions: versions.sort((a, b) => semver.rcompare(a.version, b.version)),
    lines: consentLines(manifest.asks, {}, new Map()),
    settings: manifest.settings,
    warnings: declaration.warnings,
  };
}

const ASSETS = 'views/assets/';

/** The manifest names the logo by its path in the module; only a file below views/assets/ has an address. */
async function logoOf({ versions }: CatalogDeps, { id, manifest }: Version): Promise<string> {
  if (manifest.logo?.startsWith(ASSETS) !== true) return '';
  const path = manifest.logo.slice(ASSETS.length);
  return (await versions.contents(id)).assets.has(path) ? path : '';
}

async function install(
  deps: CatalogDeps,
  input: { tenantId: string; versionId: string },
): Promise<{ installationId: string }> {
  const version = await deps.versions.get(input.versionId);
  return deps.db.transaction().execute(async (trx) => {
    // One after the other: of two publishers' modules with one name, a tenant has one. Addresses and permissions go by the name.
    await trx.selectFrom('tenants').select('id').where('id', '=', input.tenantId).forNoKeyUpdate().execute();
    return installLocked(trx, input.tenantId, version);
  });
}

async function installLocked(
  trx: Transaction<Tables>,
  tenantId: string,
  { id: versionId, type, name, version }: Version,
): Promise<{ installationId: string }> {
  const same = await trx
    .selectFrom('installations as installation')
    .innerJoin('modules as module', 'module.id', 'installation.module_id')
    .select('installation.id')
    .where('installation.tenant_id', '=', tenantId)
    .where('module.type', '=', type)
    .where('module.name', '=', name)
    .executeTakeFirst();
  if (same !== undefined) throw new HostError('CONFLICT', `${type}/${name} is installed already.`);
  // Only what is published may be installed, whatever id came with the request.
  const published = await trx
    .selectFrom('module_versions')
    .select('module_id')
    .where('id', '=', versionId)
    .where('status', '=', 'published')
    .executeTakeFirst();
  if (published === undefined)
    throw new HostError('CONFLICT', `${type}/${name} ${version} cannot be installed: it is not published.`);
  const row = await trx
    .insertInto('installations')
    .values({ tenant_id: tenantId, module_id: published.module_id, version_id: versionId })
    .returning('id')
    .executeTakeFirstOrThrow();
  return { installationId: row.id };
}

interface Waiting {
  readonly version: Version;
  readonly asks: readonly Ask[];
}

/** The version whose asks the admin answers: the waiting one, if there is one. */
async function wanted(deps: CatalogDeps, installationId: string): Promise<Waiting> {
  const row = await deps.db
    .selectFrom('installations')
    .select(['version_id', 'pending_version_id'])
    .where('id', '=', installationId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such installation.');
  const version = await deps.versions.get(row.pending_version_id ?? row.version_id);
  return { version, asks: version.manifest.asks };
}

async function consent(deps: CatalogDeps, installationId: string): Promise<ReturnType<typeof consentOf>> {
  const [{ version, asks }, installation, uses] = await Promise.all([
    wanted(deps, installationId),
    deps.installations.get(installationId),
    readUses(deps.db, installationId),
  ]);
  const before = version.id === installation.version.id ? undefined : installation.version.manifest.asks;
  return {
    ...consentOf(version.version, asks, installation.granted, uses),
    lines: consentLines(asks, installation.granted, uses, { before, ran: !isOff(installation) }),
  };
}

async function grant(deps: CatalogDeps, input: Parameters<Catalog['grant']>[0]): Promise<void> {
  const { version, asks } = await wanted(deps, input.installationId);
  if (input.version !== undefined && input.version !== version.version)
    throw new HostError(
      'CONFLICT',
      `Version ${version.version} asks now; you saw what another one asks for. Look at it again.`,
    );
  const answered = grantsFrom(asks, input.answers, capabilities);
  const installation = await deps.installations.get(input.installationId);
  const grants = mergedGrants(keptForRunning(installation, asks, answered), answered);
  await deps.db.transaction().execute(async (trx) => {
    await trx
      .updateTable('installations')
      .set({ grants, granted_by: input.accountId, granted_at: new Date() })
      .where('id', '=', input.installationId)
      .execute();
    // What it runs by schedule goes on from now; what was due meanwhile is not made up for.
    if (
      !isOff(installation) &&
      !Object.hasOwn(installation.granted, 'tasks') &&
      Object.hasOwn(grants, 'tasks')
    )
      await syncSchedules(trx, { ...installation, granted: grants }, installation.version);
  });
  await deps.installations.changed(input.installationId);
}

/**
 * What the version that runs was granted and the waiting one does not ask for: nobody was asked about it, so it stays until the update.
 * What both ask for is as it was answered just now, but for an amount of which the newer one asks for less.
 */
function keptForRunning(installation: Installation, asks: readonly Ask[], answered: Grants): Grants {
  const inForce = installation.version.manifest.asks;
  const kept = inForce.filter((ask) => {
    if (!isAskedBy(ask, asks)) return true;
    const newer = asks.find(({ id }) => id === ask.id)?.amount;
    if (newer === undefined || ask.amount === undefined || newer >= ask.amount) return false;
    return answered[ask.capability]?.[ask.field] === newer;
  });
  return grantsWithin(kept, installation.granted, capabilities);
}

async function enable(deps: CatalogDeps, installationId: string): Promise<void> {
  const [{ version, asks }, installation] = await Promise.all([
    wanted(deps, installationId),
    deps.installations.get(installationId),
  ]);
  const missing = missingMandatory(asks, installation.granted);
  if (missing.length > 0)
    throw new HostError(
      'NOT_GRANTED',
      `Not granted yet: ${missing.join(', ')}. Grant these, or leave the module off.`,
      { data: { missing } },
    );
  await refuseRevoked(deps.db, version.id);
  const off = isOff(installation);
  if (version.id !== installation.version.id) {
    await runFlow(deps, 'update', installationId, {
      fromVersion: installation.version.version,
      toVersionId: version.id,
      off,
    });
    return;
  }
  if (!off) throw new HostError('CONFLICT', 'The module is enabled already.');
  if (installation.pausedReason !== null)
    throw new HostError(
      'CONFLICT',
      `The module is paused: ${installation.pausedReason}. End the pause first.`,
    );
  await runFlow(deps, 'enable', installationId);
}

async function runFlow(
  deps: CatalogDeps,
  kind: string,
  installationId: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const { tenant } = await deps.installations.get(installationId);
  await deps.flows.run({
    kind,
    subject: `installation:${installationId}`,
    tenantId: tenant.id,
    state: { installationId, ...more },
  });
}

async function update(
  deps: CatalogDeps,
  input: { installationId: string; versionId: string },
): Promise<void> {
  const [installation, next] = await Promise.all([
    deps.installations.get(input.installationId),
    deps.versions.get(input.versionId),
  ]);
  if (
    next.moduleId !== installation.version.moduleId ||
    semver.lte(next.version, installation.version.version)
  ) {
    throw new HostError('CONFLICT', `${next.version} is not a newer version of this module.`);
  }
  const status = await deps.db
    .selectFrom('module_versions')
    .select('status')
    .where('id', '=', next.id)
    .executeTakeFirstOrThrow();
  if (status.status !== 'published') throw new HostError('CONFLICT', `${next.version} is not published.`);
  await deps.db
    .updateTable('installations')
    .set(await afterChoosing(deps, installation, next))
    .where('id', '=', input.installationId)
    .execute();
  await deps.installations.changed(input.installationId);
}

/** What choosing a newer version makes of an installation: only one that runs is 'restricted', for that lets the old one go on. */
async function afterChoosing(deps: CatalogDeps, installation: Installation, next: Version) {
  if (!isOff(installation))
    return {
      pending_version_id: next.id,
      status: 'restricted' as const,
      status_reason: `Version ${next.version} waits for your consent; ${installation.version.version} goes on meanwhile.`,
    };
  if (await wasActivated(deps.db, installation.id)) return { pending_version_id: next.id };
  return { version_id: next.id, pending_version_id: null };
}

/** Said before a flow is begun; the flow asks again, when nothing else is being done with the installation. */
async function requireOff(deps: CatalogDeps, installationId: string): Promise<void> {
  refuseUnlessOff(await deps.installations.get(installationId));
}

async function uninstall(deps: CatalogDeps, installationId: string): Promise<void> {
  await requireOff(deps, installationId);
  await runFlow(deps, 'uninstall', installationId);
}

async function purge(deps: CatalogDeps, installationId: string): Promise<void> {
  await requireOff(deps, installationId);
  await runFlow(deps, 'purge', installationId);
}

async function unpause(deps: CatalogDeps, installationId: string): Promise<void> {
  await refuseRevoked(deps.db, (await deps.installations.get(installationId)).version.id);
  await deps.db
    .updateTable('installations')
    .set({ paused_at: null, paused_reason: null })
    .where('id', '=', installationId)
    .execute();
  await deps.installations.changed(installationId);
}

/** Fields that are filled in for the installation: none where each instance has its own. */
function ownFields({ type, manifest }: Version): Version['manifest']['settings'] {
  return hasInstances(type) ? [] : manifest.settings;
}

async function settings(deps: CatalogDeps, installationId: string): Promise<FormView> {
  const [installation, secrets] = await Promise.all([
    deps.installations.get(installationId),
    deps.vault.handles(installationId),
  ]);
  const fields = ownFields(installation.version);
  return {
    fields: await withOptions(deps.invoker, { installationId }, fields, installation.settings),
    values: { ...installation.version.manifest.config, ...installation.settings },
    secretsSet: Object.keys(secrets),
  };
}

async function saveSettings(
  deps: CatalogDeps,
  input: Parameters<Catalog['saveSettings']>[0],
): Promise<FormResult> {
  const installation = await deps.installations.get(input.installationId);
  const { installationId } = input;
  const declared = ownFields(installation.version);
  const fields = await withOptions(deps.invoker, { installationId }, declared, installation.settings);
  const secretsSet = Object.keys(await deps.vault.handles(input.installationId));
  const { values, secrets, errors } = checkFields(fields, input.values, secretsSet);
  if (Object.keys(errors).length > 0) return { ok: false, errors };
  // All of a form or nothing: half of it would be settings that nobody chose.
  await deps.db.transaction().execute(async (trx) => {
    for (const [name, value] of Object.entries(secrets))
      await deps.vault.put(input.installationId, name, value, [], trx);
    await trx
      .updateTable('installations')
      .set({ settings: values })
      .where('id', '=', input.installationId)
      .execute();
  });
  deps.vault.forget(input.installationId);
  await deps.installations.changed(input.installationId);
  return { ok: true };
}
