/** A module's data to take along: all of its own, nothing of anybody else's, and nothing that was sealed is opened. */
import { expect, it } from 'vitest';
import { EXPORT_LIMITS } from '../../src/catalog/export.ts';
import { useTestHost } from '../support/host.ts';
import { refusal, type Tenant } from '../support/tenant.ts';

const host = useTestHost();

const KEEPER = {
  name: 'Keeper',
  type: 'Plugin' as const,
  manifest: { permissions: { db: { tables: 3 } } },
  members: `
    async activate() {
      await this.db.schema.createTable('notes').ifNotExists()
        .addColumn('id', 'integer').addColumn('text', 'text').addColumn('sealed', 'text').execute();
      await this.db.schema.createTable('odd "name"').ifNotExists().addColumn('a b', 'jsonb').execute();
      return 'success';
    }
    async fill(whose, rows) {
      for (let from = 0; from < rows; from += 200)
        await this.db.insertInto('notes').values(Array.from({ length: Math.min(200, rows - from) }, (_, i) => ({ id: from + i, text: whose }))).execute();
      await this.db.updateTable('notes').set({ sealed: await this.crypt.encryptString('the secret') }).where('id', '=', 0).execute();
      await this.db.insertInto('odd "name"').values({ 'a b': sql\`'{"x": [1, null]}'::jsonb\` }).execute();
    }`,
};

async function exported(tenant: Tenant): Promise<Record<string, unknown>[]> {
  let text = '';
  for await (const part of await tenant.panel.catalog.exportData(await tenant.installationId('Keeper')))
    text += part;
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

it('holds every row of the module’s tables in this tenant, also when it is off, and opens nothing', async () => {
  const { a, b } = host();
  await host().publish(KEEPER);
  for (const tenant of [a, b]) await tenant.installed('Keeper');
  const rows = EXPORT_LIMITS.rowsAtOnce * 2 + 1;
  await a.call('Keeper', 'fill', 'of a', rows);
  await b.call('Keeper', 'fill', 'of b', 1);
  await a.disable('Keeper');
  const [about, ...lines] = await exported(a);
  expect(about).toMatchObject({ module: 'test-house/Plugin/Keeper', version: '1.0.0', tenant: a.slug });
  expect(lines).toHaveLength(rows + 1);
  expect(lines.filter(({ table }) => table === 'notes')).toHaveLength(rows);
  expect(lines.at(-1)).toEqual({ table: 'odd "name"', row: { 'a b': { x: [1, null] } } });
  const text = JSON.stringify(lines);
  expect(text).not.toContain('of b');
  expect(text).not.toContain('the secret');
});

it('is refused beyond a few at once, and one that nobody reads to its end gives its place back', async () => {
  const { a } = host();
  const id = await a.installationId('Keeper');
  const begun = [];
  for (let i = 0; i < EXPORT_LIMITS.atOnce; i++) {
    const lines = (await a.panel.catalog.exportData(id))[Symbol.asyncIterator]();
    await lines.next();
    await lines.next();
    begun.push(lines);
  }
  expect(await refusal(() => a.panel.catalog.exportData(id))).toMatch(/^LIMIT: Other exports/);
  await begun[0]?.return?.();
  expect((await exported(a)).length).toBeGreaterThan(1);
  for (const lines of begun) await lines.return?.();
});

it('of a module without data is refused', async () => {
  const { a } = host();
  await host().publish({ name: 'Empty', type: 'Plugin' });
  await a.install('Empty');
  const id = await a.installationId('Empty');
  expect(await refusal(() => a.panel.catalog.exportData(id))).toContain('has no data of its own');
});
