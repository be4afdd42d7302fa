/** clients, products and service.list({with}): what a module reads of the tenant's records, in a whole host with two tenants. */
import { beforeAll, describe, expect, it } from 'vitest';
import { useTestHost } from '../support/host.ts';
import type { Tenant } from '../support/tenant.ts';

const host = useTestHost();

const MEMBERS = `
  async createJob() { return { status: 'success' }; }
  async all(what, size) { const rows = []; for await (const row of this[what].stream(size)) rows.push(row); return rows; }
  async one(what, uuid) { return this[what].get(uuid).catch((error) => error.code); }
  async services(relations, size) { const rows = []; for await (const row of this.service.stream({ with: relations }, size)) rows.push(row); return rows; }
  async some(relations) { return this.service.list({ with: relations }, 1).catch((error) => error.code + ' ' + error.message); }
  has() { return [this.clients === undefined, this.products === undefined]; }
`;

const ASKS = {
  clients: { scopes: ['read', 'contact'], optional: true },
  products: { scopes: ['read'], optional: true },
  tasks: true,
};

async function addClient(tenant: Tenant, name: string): Promise<string> {
  const { id } = await host().bulkhead.panel.auth.createAccount({
    kind: 'client',
    tenantId: tenant.id,
    name,
    email: `${name.toLowerCase()}@${tenant.slug}.example`,
    password: 'A long password 2',
  });
  return id;
}

beforeAll(async () => {
  for (const name of ['Reader', 'Narrow', 'Blind'])
    await host().publish({ name, members: MEMBERS, manifest: { permissions: ASKS } });
  for (const tenant of [host().a, host().b]) {
    await tenant.installed('Reader');
    await tenant.installed('Narrow', {}, { without: ['clients.scopes:contact'] });
    await tenant.installed(
      'Blind',
      {},
      { without: ['clients.scopes:read', 'clients.scopes:contact', 'products.scopes:read'] },
    );
  }
});

describe('clients', () => {
  it('are the tenant’s own, a page at a time, with addresses where that is granted (A28)', async () => {
    const { a } = host();
    await addClient(a, 'Second');
    await addClient(a, 'Third');
    expect(await a.call('Reader', 'all', 'clients', 1)).toEqual([
      expect.objectContaining({
        uuid: a.clientId,
        name: 'Client',
        email: `client@${a.slug}.example`,
        active: true,
      }),
      expect.objectContaining({ name: 'Second', email: `second@${a.slug}.example` }),
      expect.objectContaining({ name: 'Third' }),
    ]);
    expect(JSON.stringify(await a.call('Reader', 'all', 'clients', 1))).not.toMatch(/password|hash/);
  });

  it('come without their address where only their names are granted', async () => {
    const { a } = host();
    expect(await a.call('Narrow', 'one', 'clients', a.clientId)).toMatchObject({
      name: 'Client',
      email: null,
    });
  });

  it('of another tenant, admins and what is nobody are not there', async () => {
    const { a, b } = host();
    for (const uuid of [b.clientId, a.adminId, a.id])
      expect(await a.call('Reader', 'one', 'clients', uuid)).toBe('NOT_FOUND');
  });
});

describe('a module that was granted neither', () => {
  it('has neither, and is refused when it asks all the same', async () => {
    const { a } = host();
    expect(await a.call('Blind', 'has')).toEqual([true, true]);
    await a.order(await a.product('Blind', 'Dim'));
    expect(await a.call('Blind', 'some', ['client'])).toMatch(/^NOT_GRANTED clients: reading is not granted/);
    expect(await a.call('Blind', 'some', ['product'])).toEqual([
      expect.objectContaining({ product: expect.objectContaining({ name: 'Dim' }) }),
    ]);
  });
});

describe('products', () => {
  it('are what the tenant sells, with prices, and tell nothing of how others are configured', async () => {
    const { a, b } = host();
    const own = await a.product('Reader', 'Own', { plan: 'secret-of-reader' });
    const other = await a.product('Narrow', 'Other', { plan: 'secret-of-narrow' });
    const foreign = await b.product('Reader', 'Foreign');
    const all = await a.call('Reader', 'all', 'products', 1);
    const seen = Array.isArray(all) ? all.slice(-2) : all;
    expect(seen).toEqual([
      expect.objectContaining({
        uuid: own,
        name: 'Own',
        own: true,
        prices: [{ period: 'monthly', setup_minor: 0, amount_minor: 500 }],
      }),
      expect.objectContaining({ uuid: other, own: false }),
    ]);
    expect(JSON.stringify(seen)).not.toContain('secret-of');
    expect(await a.call('Reader', 'one', 'products', foreign)).toBe('NOT_FOUND');
  });
});

describe('service.list', () => {
  it('brings along product and client, once each is read, and only if clients are granted (A28) [SM-10 PF-07]', async () => {
    const { a } = host();
    const product = await a.product('Reader', 'Ordered');
    const first = await a.order(product);
    const second = await a.order(product);
    const listed = await a.call('Reader', 'services', ['product', 'client'], 1);
    expect(listed).toEqual(
      [first, second].map((uuid) =>
        expect.objectContaining({
          uuid,
          product: expect.objectContaining({ uuid: product, own: true }),
          client: expect.objectContaining({ uuid: a.clientId, name: 'Client' }),
        }),
      ),
    );
    expect(await a.call('Reader', 'services', [], 50)).toEqual([
      expect.not.objectContaining({ client: expect.anything() }),
      expect.not.objectContaining({ product: expect.anything() }),
    ]);
  });

  it('gives a module no service of another, nor of another tenant', async () => {
    const { a, b } = host();
    expect(await a.call('Narrow', 'services', ['product', 'client'], 10)).toEqual([]);
    expect(await b.call('Reader', 'services', ['product', 'client'], 10)).toEqual([]);
  });
});
