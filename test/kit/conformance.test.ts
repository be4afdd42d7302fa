/** The conformance suite finds what is wrong: a module with a fault for each case fails exactly those. */
import { expect, it } from 'vitest';
import { conformance, type ConformanceOptions } from '../../src/kit/index.ts';
import { withFolder } from '../store/package/fixture.ts';
import { kitDatabases } from '../support/kit.ts';

const databases = await kitDatabases();

const FAULTY = {
  'module.json': JSON.stringify({
    name: 'Faulty',
    type: 'Product',
    title: 'Faulty',
    version: '1.0.0',
    permissions: { db: { tables: 3 }, cache: { mb: 1 }, tasks: true, http: { hosts: ['{settings.url}'] } },
    settings: [{ key: 'url', type: 'text', title: 'Address' }],
  }),
  'Faulty.ts': `import { Product } from 'bulkhead';
    export default class Faulty extends Product {
      async activate() {
        await this.db.schema.createTable('things').ifNotExists().addColumn('id', 'integer').execute();
        const rows = await this.db.selectFrom('things').selectAll().execute();
        await this.schedule({ method: 'runJob', every: 3600 });
        await this.db.insertInto('things').values({ id: rows.length }).execute();
        return rows.length === 0 ? 'success' : 'error: again';
      }
      update() { return 'error: cannot'; }
      saveProductData(data) { return { status: 'success', data: { n: data.a.b } }; }
      getServiceData(data) { return { ...data, made: this.randomInt(1, 1_000_000_000) }; }
      adminPermissions() { return [{ name: 'See', key: 'see', description: '' }]; }
      adminWebRoutes() { return [{ method: 'get', uri: 'page', permission: 'see', name: 'page', controller: 'FaultyController@page' }]; }
      getClientAreaMenuConfig() { return { general: { name: 'General', template: 'client_area.general' } }; }
      adminApiRoutes() { return [{ method: 'post', uri: 'things/{id}', permission: 'see', name: 'thing', controller: 'FaultyController@thing' }]; }
      async runJob() { await fetch('https://not-granted.example/'); return { status: 'success' }; }
      async createJob() { await fetch(this.config('url')).catch(() => undefined); await this.service.setProvisionStatus('completed'); return { status: 'success' }; }
      text() { return this.t('missing.key') + this.view('admin_area.nowhere', {}); }
      queue() { return { method: 'nothingJob' }; }
      async apiWebhookPost(request) { return JSON.parse(await request.text()).type; }
    }`,
  'controllers/FaultyController.ts': `import { Controller, response } from 'bulkhead';
    export default class FaultyController extends Controller { page() { return response('broken', 500); } async thing(request) { return (await request.json()).a.b; } }`,
  'views/client_area/general.liquid': "{{ 'also.missing' | t }}",
  'lang/en.json': '{ "one": "One", "two": "Two" }',
  'lang/pl.json': '{ "one": "Jeden" }',
};

interface Registered {
  readonly name: string;
  readonly run: () => Promise<void>;
}

async function verdicts(
  module: string,
  files: Record<string, string>,
  options: ConformanceOptions = {},
): Promise<Record<string, string>> {
  const tests: Registered[] = [];
  const ends: (() => Promise<void>)[] = [];
  const told: Record<string, string> = {};
  await withFolder(files, async (folder) => {
    conformance(module, {
      ...options,
      folder,
      databases,
      test: (name, run) => tests.push({ name, run }),
      after: (run) => ends.push(run),
    });
    for (const { name, run } of tests)
      told[name.replace(`${module} `, '')] = await run().then(
        () => 'holds',
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
    for (const end of ends) await end();
  });
  return told;
}

it('names each fault of a module that has them all', async () => {
  const told = await verdicts('Product/Faulty', FAULTY, { product: {} });
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
    'answers nonsense at each of its routes, and breaks on none': expect.stringMatching(
      /POST things\/nowhere with .* threw/,
    ),
    'gets done what it runs by the clock': expect.stringMatching(/^runJob\(\) ended as failed/),
    'is stopped and says so when the other side never answers, and its job can be run again':
      expect.not.stringMatching(/^holds$/),
    'is refused nothing where all it asks for is granted': expect.stringContaining('not-granted.example'),
    'answers a delivery that is not genuine without breaking': expect.not.stringMatching(/^holds$/),
    'refuses bad input with 422 or takes it, and never breaks on it': expect.not.stringMatching(/^holds$/),
    'gives the same data for data it gave before': expect.stringContaining('getServiceData() changed'),
  });
});

const GATEWAY = (members: string): Record<string, string> => ({
  'module.json': JSON.stringify({
    name: 'Gateway',
    type: 'Payment',
    title: 'Gateway',
    version: '1.0.0',
    permissions: { invoices: ['read', 'record'] },
  }),
  'Gateway.ts': `import { Payment, response } from 'bulkhead';
    export default class Gateway extends Payment {
      getClientAreaHtml({ invoice }) { return '<p>' + invoice.number + '</p>'; }
      async apiWebhookPost(request) {
        const paid = request.input('invoice');
        if (paid === undefined) return response('ignored', 200);
        ${members}
        return response('ok', 200);
      }
    }`,
});
const ONCE = 'books what a delivery says once, however often and at once it comes';

it.each([
  ['by a number of its own', 'crypto.randomUUID()', /one payment of 4321 is expected; booked: \[.*,.*\]/],
  ['without looking at who sent it', "'t-' + paid", /whose bytes were changed was answered with 200/],
])('finds a gateway that books %s', async (_what, transaction, expected) => {
  const told = await verdicts(
    'Payment/Gateway',
    GATEWAY(
      `await this.invoices.recordPayment({ invoice_uuid: paid, transaction_id: ${transaction}, amount: request.input('amount'), currency: 'USD' });`,
    ),
    {
      delivery: ({ uuid, amount }) => ({
        body: JSON.stringify({ invoice: uuid, amount }),
        headers: { 'content-type': 'application/json' },
      }),
    },
  );
  expect(told[ONCE]).toMatch(expected);
});
