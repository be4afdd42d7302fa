/** The conformance suite finds what is wrong: a module with a fault for each case fails exactly those. */
import { expect, it } from 'vitest';
import { conformance } from '../../src/kit/index.ts';
import { withFolder } from '../store/package/fixture.ts';
import { kitDatabases } from '../support/kit.ts';

const databases = await kitDatabases();

const FAULTY = {
  'module.json': JSON.stringify({
    name: 'Faulty',
    type: 'Product',
    title: 'Faulty',
    version: '1.0.0',
    permissions: { db: { tables: 3 }, cache: { mb: 1 } },
  }),
  'Faulty.ts': `import { Product } from 'bulkhead';
    export default class Faulty extends Product {
      async activate() {
        await this.db.schema.createTable('things').ifNotExists().addColumn('id', 'integer').execute();
        const rows = await this.db.selectFrom('things').selectAll().execute();
        await this.db.insertInto('things').values({ id: rows.length }).execute();
        return rows.length === 0 ? 'success' : 'error: again';
      }
      update() { return 'error: cannot'; }
      saveProductData(data) { return { status: 'success', data: { n: data.a.b } }; }
      getServiceData(data) { return { ...data, made: this.randomInt(1, 1_000_000_000) }; }
      adminPermissions() { return [{ name: 'See', key: 'see', description: '' }]; }
      adminWebRoutes() { return [{ method: 'get', uri: 'page', permission: 'see', name: 'page', controller: 'FaultyController@page' }]; }
      getClientAreaMenuConfig() { return { general: { name: 'General', template: 'client_area.general' } }; }
      text() { return this.t('missing.key') + this.view('admin_area.nowhere', {}); }
      queue() { return { method: 'nothingJob' }; }
      async apiWebhookPost(request) { return JSON.parse(await request.text()).type; }
    }`,
  'controllers/FaultyController.ts': `import { Controller, response } from 'bulkhead';
    export default class FaultyController extends Controller { page() { return response('broken', 500); } }`,
  'views/client_area/general.liquid': "{{ 'also.missing' | t }}",
  'lang/en.json': '{ "one": "One", "two": "Two" }',
  'lang/pl.json': '{ "one": "Jeden" }',
};

interface Registered {
  readonly name: string;
  readonly run: () => Promise<void>;
}

async function verdicts(files: Record<string, string>): Promise<Record<string, string>> {
  const tests: Registered[] = [];
  const ends: (() => Promise<void>)[] = [];
  const told: Record<string, string> = {};
  await withFolder(files, async (folder) => {
    conformance('Product/Faulty', {
      folder,
      databases,
      test: (name, run) => tests.push({ name, run }),
      after: (run) => ends.push(run),
    });
    for (const { name, run } of tests)
      told[name.replace('Product/Faulty ', '')] = await run().then(
        () => 'holds',
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
    for (const end of ends) await end();
  });
  return told;
}

it('names each fault of a module that has them all', async () => {
  const told = await verdicts(FAULTY);
  expect(told).toMatchObject({
    'asks for what it uses and uses what it asks for': expect.stringContaining('uses: cache'),
    'has every text in every language': 'missing texts: two (pl)',
    'names no text that it lacks': expect.stringMatching(/also\.missing, missing\.key|missing\.key/),
    'names no template that it lacks': expect.stringContaining('admin_area.nowhere'),
    'queues only jobs that it has': expect.stringContaining('nothingJob'),
    'is read without a warning': expect.stringContaining('variables_general'),
    'activates again on the data it has, and deactivates without dropping any':
      expect.stringContaining('again'),
    'updates from its own version without a change': expect.stringContaining('cannot'),
    'answers each of its admin pages, and only to who has the permission': 'GET page answered 500',
    'answers a delivery that is not genuine without breaking': expect.not.stringMatching(/^holds$/),
    'refuses bad input with 422 or takes it, and never breaks on it': expect.not.stringMatching(/^holds$/),
    'gives the same data for data it gave before': expect.stringContaining('getServiceData() changed'),
  });
});
