/** Grants: nothing is allowed that an admin did not allow, and whoever is refused is told what to add. */
import { beforeAll, describe, expect, it } from 'vitest';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { useTestHost } from '../support/host.ts';
import { newInvoice } from '../support/invoices.ts';

const ASKS = {
  db: { tables: 3, storage_mb: 10 },
  http: {
    hosts: ['api.example.com', { value: '*.example.org', optional: true, reason: 'Mirrors.' }],
    methods: ['GET'],
    per_minute: 100,
  },
  tasks: { optional: true, concurrency: 1, per_minute: 10 },
};

const MEMBERS = `
  async activate() {
    await this.db.schema.createTable('notes').ifNotExists().addColumn('text', 'text').execute();
    return 'success';
  }
  async write() { await this.db.insertInto('notes').values({ text: 'x' }).execute(); return 'written'; }
  async fetchFrom(address, method = 'GET') {
    try { await this.http.fetch(address, { method }); return 'answered'; }
    catch (error) { return { name: error.name, code: error.code, message: error.message }; }
  }
  present() { return { db: this.db !== undefined, http: this.http !== undefined, tasks: this.tasks !== undefined }; }
`;

const host = useTestHost();

beforeAll(async () => {
  await host().publish({ name: 'Asker', members: MEMBERS, manifest: { permissions: ASKS } });
  await host().a.install('Asker');
});

async function refusals(): Promise<Record<string, number>> {
  const { a, bulkhead } = host();
  await bulkhead.recorder.flush();
  const rows = await bulkhead.panel.db
    .selectFrom('grant_use')
    .selectAll()
    .where('installation_id', '=', await a.installationId('Asker'))
    .execute();
  return Object.fromEntries(rows.map((row) => [row.item, row.refusals]));
}

describe('before an answer', () => {
  it('nothing is granted', async () => {
    const { lines } = await host().a.consent('Asker');
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.filter((line) => line.granted)).toEqual([]);
  });

  it('enabling names each mandatory grant that is missing and runs nothing', async () => {
    const { a } = host();
    await a.grant('Asker', { without: ['http.hosts:api.example.com', 'http.methods:GET'] });
    const attempt = a.enable('Asker');
    await expect(attempt).rejects.toMatchObject({
      code: 'NOT_GRANTED',
      data: { missing: ['http.hosts:api.example.com', 'http.methods:GET'] },
    });
    expect(await a.installation('Asker')).toMatchObject({ status: 'inactive', schema_name: null });
  });
});

describe('an amount that the module needs', () => {
  it('and that was answered with no is missing, whatever else of its capability is granted', async () => {
    const { a } = host();
    await a.grant('Asker', { without: ['db.storage_mb'] });
    await expect(a.enable('Asker')).rejects.toMatchObject({ data: { missing: ['db.storage_mb'] } });
    const line = (await a.consent('Asker')).lines.find(({ id }) => id === 'db.storage_mb');
    expect(line).toMatchObject({ granted: false });
  });
});

describe('an answer', () => {
  it('to what another version asks for than the one that was shown is refused', async () => {
    const { a } = host();
    const { id: installationId, grants } = await a.installation('Asker');
    await expect(
      a.panel.catalog.grant({ installationId, answers: {}, accountId: a.adminId, version: '0.9.0' }),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
    expect((await a.installation('Asker')).grants).toEqual(grants);
  });

  it.each([
    ['an amount above the one asked', { 'db.tables': { granted: true, amount: 4 } }],
    ['an amount that is no number of things', { 'db.tables': { granted: true, amount: 1.5 } }],
    ['a pattern wider than the one asked', { 'http.hosts:*.example.org': { granted: true, item: '*.org' } }],
    [
      'another host than the one asked',
      { 'http.hosts:api.example.com': { granted: true, item: 'evil.example' } },
    ],
    ['something that was never asked', { 'http.hosts:evil.example': { granted: true } }],
  ] as const)('with %s is refused, and the grants stay as they were', async (_what, answers) => {
    const { a } = host();
    const { id: installationId, grants } = await a.installation('Asker');
    await expect(
      a.panel.catalog.grant({ installationId, answers, accountId: a.adminId }),
    ).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect((await a.installation('Asker')).grants).toEqual(grants);
  });

  it('that is narrower is what counts', async () => {
    const { a } = host();
    await a.grant('Asker', {
      without: ['tasks.concurrency', 'tasks.per_minute'],
      amounts: { 'db.tables': 1 },
      items: { 'http.hosts:*.example.org': 'eu.example.org' },
    });
    await a.enable('Asker');
    expect((await a.installation('Asker')).grants).toMatchObject({
      db: { tables: 1, storage_mb: 10 },
      http: { hosts: ['api.example.com', 'eu.example.org'], methods: ['GET'] },
    });
    const refused = await a.call('Asker', 'fetchFrom', 'https://us.example.org/');
    expect(refused).toMatchObject({ code: 'NOT_GRANTED' });
  });
});

describe('a call that is not granted', () => {
  it('is an error the module can read, with the text that names what to add', async () => {
    const { a } = host();
    expect(await a.call('Asker', 'fetchFrom', 'https://other.example.net/x')).toEqual({
      name: 'NotGranted',
      code: 'NOT_GRANTED',
      message: expect.stringMatching(
        /other\.example\.net.* is not granted; add it to permissions\.http\.hosts/,
      ),
    });
    expect(await a.call('Asker', 'fetchFrom', 'https://api.example.com/', 'DELETE')).toMatchObject({
      code: 'NOT_GRANTED',
      message: expect.stringMatching(/permissions\.http\.methods/),
    });
  });

  it('is counted and stands in the log for the admin', async () => {
    const { a } = host();
    const before = (await refusals())['http.request'] ?? 0;
    await a.call('Asker', 'fetchFrom', 'https://other.example.net/x');
    expect((await refusals())['http.request']).toBe(before + 1);
    expect(await a.logs('Asker')).toContainEqual(
      expect.stringMatching(/^host warning refused: http\.request .*other\.example\.net/),
    );
    const { refused } = await a.panel.db
      .selectFrom('usage_minutes')
      .select((eb) => eb.fn.sum<number>('refused').as('refused'))
      .where('installation_id', '=', await a.installationId('Asker'))
      .executeTakeFirstOrThrow();
    expect(refused).toBeGreaterThan(before);
  });

  it('because a limit is reached is counted and stands in the log too', async () => {
    const { a } = host();
    await host().publish({
      name: 'Hasty',
      manifest: { permissions: { tasks: { concurrency: 1, per_minute: 1 } } },
      members: `
        async addTwo() {
          const add = (n) => this.tasks.add({ method: 'waitJob', params: { n } }).then(() => 'added', (error) => error.code);
          return [await add(1), await add(2)];
        }
        waitJob() { return { status: 'success' }; }`,
    });
    await a.installed('Hasty');
    expect(await a.call('Hasty', 'addTwo')).toEqual(['added', 'LIMIT']);
    expect(await a.logs('Hasty')).toContainEqual(expect.stringMatching(/^host warning limit: tasks\.add /));
    const { refused } = await a.panel.db
      .selectFrom('usage_minutes')
      .select((eb) => eb.fn.sum<number>('refused').as('refused'))
      .where('installation_id', '=', await a.installationId('Hasty'))
      .executeTakeFirstOrThrow();
    expect(refused).toBe(1);
  });

  it('of a whole capability finds nothing there to call', async () => {
    expect(await host().a.call('Asker', 'present')).toEqual({ db: true, http: true, tasks: false });
  });
});

describe('a grant', () => {
  it('that is used is counted with its line', async () => {
    const { a } = host();
    await a.call('Asker', 'write');
    await a.bulkhead.recorder.flush();
    const line = (await a.consent('Asker')).lines.find(({ id }) => id === 'db.storage_mb');
    expect(line).toMatchObject({ granted: true, uses: expect.any(Number), lastUsedAt: expect.any(Date) });
    expect(line?.uses).toBeGreaterThan(0);
  });

  it('that is never used is told apart from what is, once the module runs', async () => {
    const { a } = host();
    await host().publish({
      name: 'Frugal',
      type: 'Payment',
      manifest: {
        permissions: {
          db: { tables: 1, storage_mb: 5 },
          cache: { mb: 1 },
          http: {
            hosts: ['api.example.com'],
            methods: ['GET', { value: 'POST', optional: true }],
            per_minute: 5,
          },
          redirect: { hosts: ['*.example.com'] },
          events: { listen: ['InvoicePaid', 'InvoiceCreated'] },
          compute: { memory_mb: 32 },
        },
        events: { listens: ['InvoicePaid', 'InvoiceCreated'] },
      },
      prelude: `import { redirect } from 'bulkhead';`,
      members: `
        getClientAreaHtml() { return redirect('https://pay.example.com/x'); }
        keep() { return this.cache.remember('k', 60, () => 1); }`,
      files: { 'hooks.ts': `import { on } from 'bulkhead'; on('InvoicePaid', () => undefined);` },
    });
    const uses = async () =>
      Object.fromEntries((await a.consent('Frugal')).lines.map(({ id, uses: count }) => [id, count]));
    await a.install('Frugal');
    expect(Object.values(await uses()).every((count) => count === undefined)).toBe(true);
    await a.grant('Frugal', {
      without: ['http.methods:POST'],
      items: { 'redirect.hosts:*.example.com': 'pay.example.com' },
    });
    await a.enable('Frugal');
    const instanceId = await a.newInstance('Frugal', 'One');
    await a.call('Frugal', 'keep');
    await a.panel.gateways.pay({
      tenantId: a.id,
      invoiceId: await newInvoice(a, 500),
      instanceId,
      account: { id: a.clientId, kind: 'client', permissions: [] },
      returnUrl: 'http://127.0.0.1:4300/r',
      cancelUrl: 'http://127.0.0.1:4300/c',
    });
    await a.bulkhead.invoker.invoke({
      installationId: await a.installationId('Frugal'),
      purpose: 'job',
      calls: [{ target: { on: 'hook', number: 0 }, method: 'InvoicePaid', args: [{ name: 'InvoicePaid' }] }],
    });
    await a.bulkhead.recorder.flush();
    expect(await uses()).toMatchObject({
      'db.tables': 0,
      'db.storage_mb': 0,
      'cache.mb': 2,
      'http.hosts:api.example.com': 0,
      'http.methods:GET': 0,
      // Not granted: there is nothing to take back.
      'http.methods:POST': undefined,
      'http.per_minute': 0,
      'redirect.hosts:*.example.com': 1,
      'events.listen:InvoicePaid': 1,
      'events.listen:InvoiceCreated': 0,
      // A bound of what runs anyway.
      'compute.memory_mb': undefined,
    });
  });

  it('that is taken back is refused at the next call', async () => {
    const { a } = host();
    expect(await a.call('Asker', 'write')).toBe('written');
    await a.grant('Asker', { without: ['db.tables', 'db.storage_mb'] });
    await expect(a.call('Asker', 'write')).rejects.toBeInstanceOf(HostError);
    expect(await a.call('Asker', 'present')).toMatchObject({ db: false });
  });

  it('of one tenant is none of another', async () => {
    const { b } = host();
    await b.install('Asker');
    expect((await b.consent('Asker')).lines.some((line) => line.granted)).toBe(false);
    await expect(b.call('Asker', 'present')).rejects.toMatchObject({
      code: 'CONFLICT',
      message: 'Product/Asker is not enabled.',
    });
  });
});

describe('while an update waits', () => {
  it('what only the running version asks for stays granted until the update is in place', async () => {
    const { a, publish } = host();
    const name = 'Mover';
    const members = `
      tables() { return this.db !== undefined; }
      async reach(address) { try { await this.http.fetch(address); return 'answered'; } catch (error) { return error.code; } }`;
    const asks = (hosts: readonly string[]) => ({ http: { hosts, methods: ['GET'], per_minute: 10 } });
    await publish({
      name,
      members,
      manifest: {
        permissions: { ...asks(['old.invalid', 'both.invalid']), db: { tables: 3, storage_mb: 10 } },
      },
    });
    await a.installed(name);
    const { versionId } = await publish({
      name,
      version: '2.0.0',
      members,
      manifest: { permissions: asks(['new.invalid', 'both.invalid']) },
    });
    const { id: installationId } = await a.installation(name);
    await a.panel.catalog.update({ installationId, versionId, accountId: a.adminId });
    await a.grant(name, { without: ['http.hosts:both.invalid'] });

    expect(await a.call(name, 'tables')).toBe(true);
    expect(await a.call(name, 'reach', 'https://old.invalid/')).not.toBe('NOT_GRANTED');
    expect(await a.call(name, 'reach', 'https://both.invalid/')).toBe('NOT_GRANTED');
    expect(await a.call(name, 'reach', 'https://new.invalid/')).toBe('NOT_GRANTED');

    await a.grant(name);
    await a.enable(name);
    expect(await a.call(name, 'tables')).toBe(false);
    expect(await a.call(name, 'reach', 'https://old.invalid/')).toBe('NOT_GRANTED');
    expect(await a.call(name, 'reach', 'https://new.invalid/')).not.toBe('NOT_GRANTED');
  });
});
