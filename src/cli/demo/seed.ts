/** What the demo puts into an empty host: an operator, two tenants with an admin and a client each, and the modules that ship. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { Bulkhead } from '../../host.ts';
import { packModule } from '../../store/package/pack.ts';
import { signPackage } from '../../store/package/sign.ts';
import type { DemoState } from './state.ts';

const MODULES = fileURLToPath(new URL('../../../modules', import.meta.url));
export const DEMO_PUBLISHER = 'bulkhead-samples';

/** Makes whatever of the demo's accounts is not there yet, and lets the tenants' modules reach the fake cloud's ports. */
export async function seedAccounts(
  bulkhead: Bulkhead,
  state: DemoState,
  cloudPorts: readonly number[],
): Promise<void> {
  const { db, auth, tenants } = bulkhead.panel;
  const operator = await db
    .selectFrom('accounts')
    .select('id')
    .where('kind', '=', 'operator')
    .executeTakeFirst();
  const operatorId =
    operator?.id ??
    (await auth.createAccount({ kind: 'operator', tenantId: null, name: 'Demo operator', ...state.operator }))
      .id;
  for (const tenant of state.tenants) {
    const known = await db
      .selectFrom('tenants')
      .select('id')
      .where('slug', '=', tenant.slug)
      .executeTakeFirst();
    const tenantId = known?.id ?? (await createTenant(bulkhead, tenant));
    const allow = cloudPorts.map((port) => ({ cidr: '127.0.0.1/32', port }));
    await tenants.allowEgress({ tenantId, allow, accountId: operatorId });
  }
}

async function createTenant(bulkhead: Bulkhead, tenant: DemoState['tenants'][number]): Promise<string> {
  const { auth, tenants } = bulkhead.panel;
  const created = await tenants.create({
    slug: tenant.slug,
    name: tenant.name,
    currency: 'USD',
    timezone: 'UTC',
    admin: { name: `${tenant.name} admin`, ...tenant.admin },
  });
  if (!created.ok)
    throw new HostError(
      'INTERNAL',
      `The demo tenant ${tenant.slug} could not be made: ${JSON.stringify(created.errors)}`,
    );
  await auth.createAccount({
    kind: 'client',
    tenantId: created.tenantId,
    name: `${tenant.name} client`,
    ...tenant.client,
  });
  return created.tenantId;
}

/** Packs, signs and publishes every module under modules/. A version that was published before and has changed since is told, not replaced. */
export async function publishModules(
  bulkhead: Bulkhead,
  state: DemoState,
  say: (line: string) => void,
): Promise<void> {
  for (const folder of await moduleFolders()) {
    const bytes = await signPackage(await packModule(folder), {
      publisher: DEMO_PUBLISHER,
      privateKey: state.publisherKeyPem,
    });
    const name = folder.slice(MODULES.length + 1);
    try {
      const { added } = await bulkhead.publish(bytes, { status: 'published' });
      say(`${name}: ${added ? 'packed, signed and published' : 'in the store'}`);
    } catch (error) {
      if (!(error instanceof HostError) || error.code !== 'CONFLICT') throw error;
      say(`${name}: ${error.message}`);
    }
  }
}

export async function moduleFolders(): Promise<string[]> {
  const types = await readdir(MODULES);
  const folders = await Promise.all(
    types.map(async (type) => (await readdir(join(MODULES, type))).map((name) => join(MODULES, type, name))),
  );
  return folders.flat().sort();
}
