/**
 * Snapshots of installations: what an invocation needs to know about one, read once and kept until something changes it. Whoever changes
 * an installation calls `changed`, which tells every process by NOTIFY, so the hot path reads no SQL.
 */
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import * as v from 'valibot';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { type Grants, grantsWithin } from '../../sandbox/contract/grant.ts';
import type { PgEndpoint } from '../database/endpoint.ts';
import { listen } from '../database/listen.ts';
import type { Tables } from '../database/tables.ts';
import { type ConfirmedHost, readConfirmedHosts, withConfirmed } from './confirmed-hosts.ts';
import { type Instance, readInstance } from './instances.ts';
import type { Version, Versions } from './versions.ts';
import { remember } from './versions.ts';

const GrantsShape = v.record(v.string(), v.record(v.string(), v.unknown()));
const Settings = v.record(v.string(), v.unknown());
const Egress = v.array(v.object({ cidr: v.string(), port: v.number() }));

export interface Installation {
  readonly id: string;
  readonly status: 'inactive' | 'active' | 'restricted' | 'error';
  readonly pausedReason: string | null;
  readonly version: Version;
  /** What the version in force may do. */
  readonly grants: Grants;
  /** Hosts that it asked for while it ran and the admin confirmed; part of grants already. */
  readonly confirmedHosts: readonly ConfirmedHost[];
  /** All that the admin granted, to a version that waits as well. */
  readonly granted: Grants;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly schemaName: string | null;
  /** The unguessable part of the address of its webhook. */
  readonly hookId: string;
  readonly tenant: {
    readonly id: string;
    readonly slug: string;
    readonly name: string;
    readonly locale: string;
    readonly currency: string;
    readonly timezone: string;
    readonly runnerNumber: number;
    readonly egressAllow: readonly { readonly cidr: string; readonly port: number }[];
  };
}

export interface Installations {
  /** @throws HostError NOT_FOUND */
  get(installationId: string): Promise<Installation>;
  /** One of an installation's sets of settings. @throws HostError NOT_FOUND */
  instance(instanceId: string): Promise<Instance>;
  /** Says that an installation (or 'all') changed; other processes hear of it at once. */
  changed(installationId: string): Promise<void>;
  /** The same within a transaction: the others hear of it when that commits. Call `forget` then. */
  announce(trx: Kysely<Tables>, installationId: string): Promise<void>;
  /** Drops this process's snapshots. */
  forget(): void;
  close(): Promise<void>;
}

const CHANNEL = 'bulkhead_installation_changed';
const KEPT = 2_000;

export async function createInstallations(
  db: Kysely<Tables>,
  endpoint: PgEndpoint,
  versions: Versions,
): Promise<Installations> {
  const fresh = (): ((id: string) => Promise<Installation>) =>
    remember(KEPT, (id) => readInstallation(db, versions, id));
  const freshInstances = (): ((id: string) => Promise<Instance>) =>
    remember(KEPT, (id) => readInstance(db, id));
  let lookup = fresh();
  let lookupInstance = freshInstances();
  const forget = (): void => {
    lookup = fresh();
    lookupInstance = freshInstances();
  };
  const announce = async (executor: Kysely<Tables>, id: string): Promise<void> => {
    await sql`select pg_notify(${CHANNEL}, ${id})`.execute(executor);
  };
  // One change drops all snapshots: changes are rare, and a forgotten dependency (tenant, version) cannot leave a stale one.
  // So does a connection that came back: what was said while it was away went unheard.
  const listening = await listen(endpoint, CHANNEL, forget);
  return {
    get: (id) => lookup(id),
    instance: (id) => lookupInstance(id),
    changed: async (id) => {
      forget();
      await announce(db, id);
    },
    announce,
    forget,
    close: () => listening.close(),
  };
}

async function readInstallation(db: Kysely<Tables>, versions: Versions, id: string): Promise<Installation> {
  const row = await db
    .selectFrom('installations as installation')
    .innerJoin('tenants as tenant', 'tenant.id', 'installation.tenant_id')
    .selectAll('installation')
    .select([
      'tenant.slug',
      'tenant.name as tenant_name',
      'tenant.locale',
      'tenant.currency',
      'tenant.timezone',
      'tenant.runner_number',
      'tenant.egress_allow',
    ])
    .where('installation.id', '=', id)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such installation.');
  const version = await versions.get(row.version_id);
  const granted = v.parse(GrantsShape, row.grants);
  const confirmedHosts = await readConfirmedHosts(db, id);
  return {
    id: row.id,
    status: row.status,
    pausedReason: row.paused_at === null ? null : (row.paused_reason ?? 'paused'),
    version,
    grants: withConfirmed(grantsWithin(version.manifest.asks, granted, capabilities), confirmedHosts),
    confirmedHosts,
    granted,
    settings: v.parse(Settings, row.settings),
    schemaName: row.schema_name,
    hookId: row.hook_id,
    tenant: {
      id: row.tenant_id,
      slug: row.slug,
      name: row.tenant_name,
      locale: row.locale,
      currency: row.currency,
      timezone: row.timezone,
      runnerNumber: row.runner_number,
      egressAllow: v.parse(Egress, row.egress_allow),
    },
  };
}
