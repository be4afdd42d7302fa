/** Choices that a module gives when a form is drawn: settings, products, orders, instances; and what is left when it can give none. */
import { describe, expect, test } from 'vitest';
import { useTestHost } from '../support/host.ts';
import { refusal } from '../support/tenant.ts';
import type { ModuleSource } from '../support/modules.ts';

const host = useTestHost();

const choice = (key: string, from: string, type = 'select') => ({
  key,
  type,
  title: key,
  options_from: from,
});

const SELLER: ModuleSource = {
  name: 'Seller',
  manifest: {
    permissions: { db: { tables: 1 } },
    settings: [choice('region', 'regions'), { key: 'down', type: 'switch', title: 'Down' }],
  },
  members: `
    async activate() {
      await this.db.schema.createTable('plans').ifNotExists().addColumn('code', 'text').addColumn('name', 'text').execute();
      await this.db.insertInto('plans').values([{ code: 's', name: 'Small' }, { code: 'l', name: 'Large' }]).execute();
      return 'success';
    }
    regions() { if (this.config('down')) throw new Error('out of order'); return ['us', 'eu']; }
    async plans() {
      if (this.config('down')) throw new Error('out of order');
      return this.db.selectFrom('plans').select(['code as value', 'name as title']).orderBy('code').execute();
    }
    odd() { return { not: 'a list' }; }
    productFields() { return [
      { key: 'plan', type: 'select', title: 'Plan', required: true, options_from: 'plans' },
      { key: 'zones', type: 'multi-select', title: 'Zones', options_from: 'regions' },
    ]; }
    serviceFields() { return [{ key: 'zone', type: 'select', title: 'Zone', required: true, options_from: 'regions' }, { key: 'odd', type: 'select', title: 'Odd', options_from: 'odd' }]; }
  `,
};

const LARGE_FIRST = [
  { value: 'l', title: 'Large' },
  { value: 's', title: 'Small' },
];
const REGIONS = ['us', 'eu'].map((value) => ({ value, title: value }));

const sell = (data: Record<string, unknown>, productId: string | null = null, name = 'Plan') => ({
  tenantId: host().a.id,
  accountId: host().a.adminId,
  productId,
  name,
  description: '',
  active: true,
  data,
  prices: [{ period: 'monthly', setupMinor: 0, amountMinor: 100 }],
});

describe('choices loaded by a module method', () => {
  let installationId = '';
  let productId = '';
  const save = (values: Record<string, unknown>) =>
    host().a.panel.catalog.saveSettings({ installationId, values, accountId: host().a.adminId });

  test('are not there before the module runs, which loses nothing and blocks nothing', async () => {
    await host().publish(SELLER);
    await host().a.install('Seller');
    await host().a.grant('Seller');
    installationId = await host().a.installationId('Seller');
    const { fields } = await host().a.panel.catalog.settings(installationId);
    expect(fields[0]).toMatchObject({ key: 'region', options: [], unloaded: true });
    expect(await save({ region: '' })).toEqual({ ok: true });
    expect(await save({ region: 'us' })).toMatchObject({
      ok: false,
      errors: { region: [expect.stringContaining('could not be loaded')] },
    });
  });

  test('draw the settings and are what may be saved', async () => {
    await host().a.enable('Seller');
    const { fields } = await host().a.panel.catalog.settings(installationId);
    expect(fields[0]).toMatchObject({ key: 'region', options: REGIONS });
    expect(await save({ region: 'mars' })).toEqual({
      ok: false,
      errors: { region: ['One of us, eu is expected.'] },
    });
    expect(await save({ region: 'eu' })).toEqual({ ok: true });
  });

  test('draw a product from the module’s own rows, and nothing else is taken', async () => {
    const form = await host().a.panel.catalog.productForm(installationId, null);
    expect(form).toMatchObject({ fields: [{ options: LARGE_FIRST }, { options: REGIONS }] });
    const { catalog } = host().a.panel;
    const wrong = await catalog.saveProduct({ ...sell({ plan: 'xxl', zones: ['mars'] }), installationId });
    expect(wrong.ok ? [] : Object.keys(wrong.errors)).toEqual(['plan', 'zones']);
    const made = await catalog.saveProduct({ ...sell({ plan: 's', zones: ['eu'] }), installationId });
    productId = made.ok ? made.productId : '';
    expect(made.ok).toBe(true);
  });

  test('draw an order; an answer that is no list of choices is no choice', async () => {
    const { billing } = host().a.panel;
    const { fields } = await billing.orderForm(productId);
    expect(fields).toMatchObject([{ options: REGIONS }, { options: [], unloaded: true }]);
    const order = (zone: string) =>
      billing.order({
        clientId: host().a.clientId,
        productId,
        period: 'monthly',
        data: { zone },
        accountId: host().a.clientId,
      });
    expect(await order('mars')).toMatchObject({ ok: false, errors: { zone: [expect.any(String)] } });
  });

  test('keep what was chosen while they cannot be loaded', async () => {
    const { catalog } = host().a.panel;
    expect(await save({ region: 'eu', down: true })).toEqual({ ok: true });
    const { fields } = await catalog.settings(installationId);
    expect(fields[0]).toMatchObject({ options: [{ value: 'eu', title: 'eu' }], unloaded: true });
    const again = sell({ plan: 's', zones: ['eu'] }, productId, 'Renamed');
    expect(await catalog.saveProduct({ ...again, installationId })).toEqual({ ok: true, productId });
    const other = sell({ plan: 'l', zones: ['eu'] }, productId, 'Renamed');
    expect(await catalog.saveProduct({ ...other, installationId })).toMatchObject({
      ok: false,
      errors: { plan: [expect.stringContaining('could not be loaded')] },
    });
    expect(await save({ region: 'eu', down: false })).toEqual({ ok: true });
  });

  // Each as long as a page may wait would be a minute, which no test lasts.
  test('keep a form waiting for so long in all, however many fields wait', async () => {
    await host().publish({
      name: 'Slow',
      type: 'Plugin',
      manifest: { settings: Array.from({ length: 6 }, (_, number) => choice(`c${number}`, 'never')) },
      members: `async never() { await new Promise((resolve) => setTimeout(resolve, 60_000)); return []; }`,
    });
    const slow = await host().a.installed('Slow');
    const { fields } = await host().a.panel.catalog.settings(slow);
    expect(fields.map(({ unloaded }) => unloaded)).toEqual(Array(6).fill(true));
  });

  test('are drawn in an instance’s settings by that instance', async () => {
    await host().publish({
      name: 'Bank',
      type: 'Payment',
      manifest: { settings: [{ key: 'owner', type: 'text', title: 'Owner' }, choice('account', 'accounts')] },
      members: `
        getModuleData(data) { return { ...data }; }
        accounts() { return [{ value: 'main', title: this.module_data.owner + ', main' }]; }`,
    });
    const instanceId = await host().a.installedWithInstance('Bank', { owner: 'Ada' });
    const { fields } = await host().a.panel.instances.form(instanceId);
    expect(fields[1]).toMatchObject({ options: [{ value: 'main', title: 'Ada, main' }] });
  });
});

test.each([
  ['a method that is not there', 'nowhere', undefined, /options_from: "nowhere" is not a method/],
  ['a method that only the host calls', 'purge', undefined, /options_from: "purge" is not a method/],
  ['options besides', 'regions', [{ value: 'a', title: 'A' }], /in place of options/],
])('a field whose choices come from %s is refused at install', async (_what, from, options, message) => {
  const field = { ...choice('region', from), ...(options === undefined ? {} : { options }) };
  const source = { name: 'Wrong', manifest: { settings: [field] }, members: 'regions() { return []; }' };
  expect(await refusal(async () => host().publish(source))).toMatch(message);
});
