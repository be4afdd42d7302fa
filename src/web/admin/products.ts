/** Products: what is sold, which module makes it, its configuration (typed fields, or the module's own page in its frame) and prices. */
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { PERIODS } from '../../billing/periods.ts';
import { MACRO_EXAMPLES } from '../../billing/service-name.ts';
import { installationChoices } from '../choices.ts';
import { testAction } from '../care/test-connection.ts';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import {
  errorsOf,
  frameData,
  idFrom,
  majorText,
  minorUnits,
  readForm,
  typedValues,
  type RawForm,
} from '../forms.ts';
import { WEB_LIMITS } from '../limits.ts';
import { installationOf, need, type InstallationRow } from '../need.ts';
import { withNote } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';

/** What most products are sold by: shown at once, the others behind "More periods". */
const COMMON_PERIODS: ReadonlySet<string> = new Set(['monthly', 'annually', 'one-time']);
const ProductForm = v.object({
  name: v.pipe(
    v.string('A name is needed.'),
    v.trim(),
    v.minLength(1, 'A name is needed.'),
    v.maxLength(100, 'Use at most 100 characters.'),
  ),
  description: v.optional(
    v.pipe(v.string(), v.trim(), v.maxLength(2_000, 'Use at most 2000 characters.')),
    '',
  ),
  active: v.optional(v.string()),
  service_name: v.optional(v.pipe(v.string(), v.trim(), v.maxLength(200, 'Use at most 200 characters.')), ''),
  pay_first: v.optional(v.picklist(['', 'yes', 'no']), ''),
});
interface PriceRow {
  readonly period: string;
  readonly setupMinor: number;
  readonly amountMinor: number;
}

/** `price:{period}` and `setup:{period}`: an empty price means that the period is not offered. */
function readPrices(
  form: RawForm,
  currency: string,
): { prices: PriceRow[]; errors: Record<string, string[]> } {
  const errors: Record<string, string[]> = {};
  const amountOf = (name: string): number | undefined => {
    const text = form[name];
    if (typeof text !== 'string' || text.trim() === '') return undefined;
    const minor = minorUnits(text, currency);
    if (minor === undefined)
      errors[name] = [`An amount in ${currency} is expected, for example ${majorText(1_250, currency)}.`];
    return minor;
  };
  const prices = PERIODS.flatMap((period) => {
    const amountMinor = amountOf(`price:${period}`);
    const setupMinor = amountOf(`setup:${period}`) ?? 0;
    return amountMinor === undefined ? [] : [{ period, setupMinor, amountMinor }];
  });
  return { prices, errors };
}

async function productRow(panel: Panel, c: AccountContext) {
  const row = await panel.deps.db
    .selectFrom('products')
    .selectAll()
    .where('tenant_id', '=', c.get('tenant').id)
    .where('id', '=', idFrom(c.req.param('id')))
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such product.');
  return row;
}

function readProducts(panel: Panel, tenantId: string) {
  return panel.deps.db
    .selectFrom('products')
    .leftJoin('installations', 'installations.id', 'products.installation_id')
    .leftJoin('modules', 'modules.id', 'installations.module_id')
    .select((e) => [
      'products.id',
      'products.name',
      'products.description',
      'products.active',
      'modules.name as module',
      e
        .selectFrom('services')
        .select(sql<number>`count(*)::int`.as('n'))
        .whereRef('services.product_id', '=', 'products.id')
        .as('services'),
      e
        .selectFrom('prices')
        .select(sql<number>`min(amount_minor)::float8`.as('m'))
        .whereRef('prices.product_id', '=', 'products.id')
        .as('from_minor'),
    ])
    .where('products.tenant_id', '=', tenantId)
    .orderBy('products.name')
    .limit(WEB_LIMITS.pageRows * 4)
    .execute();
}

interface ShownPrice {
  readonly period: string;
  readonly amount: unknown;
  readonly setup: unknown;
}

/** The common periods in their order, and the others, which are open if there is anything to see in them. */
function pricesInTwo(prices: readonly ShownPrice[], errors: FormErrors) {
  const others = prices.filter(({ period }) => !COMMON_PERIODS.has(period));
  const inUse = ({ period, amount, setup }: ShownPrice): boolean =>
    amount !== '' || setup !== '' || `price:${period}` in errors || `setup:${period}` in errors;
  return {
    common: [...COMMON_PERIODS].flatMap((name) => prices.filter(({ period }) => period === name)),
    others,
    othersInUse: others.some(inUse),
  };
}

interface Refused {
  readonly errors: FormErrors;
  readonly raw: RawForm;
  readonly values: Readonly<Record<string, unknown>>;
}
interface Existing {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly active: boolean;
  readonly pay_first: boolean | null;
  readonly service_name: string;
}

function shownProduct(existing: Existing | null) {
  if (existing === null) return { name: '', description: '', active: true, pay_first: '', service_name: '' };
  const payFirst = existing.pay_first;
  return { ...existing, pay_first: payFirst === null ? '' : payFirst ? 'yes' : 'no' };
}

async function formPage(
  panel: Panel,
  c: AccountContext,
  installation: InstallationRow,
  existing: Existing | null,
  refused?: Refused,
) {
  const tenant = c.get('tenant');
  const form = await panel.deps.catalog.productForm(installation.id, existing?.id ?? null);
  const stored =
    existing === null
      ? []
      : await panel.deps.db.selectFrom('prices').selectAll().where('product_id', '=', existing.id).execute();
  const prices = PERIODS.map((period) => {
    const row = stored.find((price) => price.period === period);
    return {
      period,
      amount:
        refused?.raw[`price:${period}`] ??
        (row === undefined ? '' : majorText(row.amount_minor, tenant.currency)),
      setup:
        refused?.raw[`setup:${period}`] ??
        (row === undefined || row.setup_minor === 0 ? '' : majorText(row.setup_minor, tenant.currency)),
    };
  });
  const isHtml = form.kind === 'html';
  const data = {
    title: existing === null ? 'New product' : existing.name,
    crumb: { href: `${c.get('tenantBase')}/admin/products`, title: c.get('t')('menu.products') },
    action: existing === null ? `products/new?module=${installation.id}` : `products/${existing.id}`,
    product:
      refused === undefined
        ? shownProduct(existing)
        : { ...refused.raw, active: refused.raw['active'] === 'on' },
    installation,
    macros: MACRO_EXAMPLES,
    form: isHtml ? undefined : { ...form, values: { ...form.values, ...refused?.values } },
    frame: isHtml
      ? `${c.get('tenantBase')}/m/${installation.id}/product/${existing?.id ?? 'new'}`
      : undefined,
    framePages: `${c.get('tenantBase')}/m/${installation.id}`,
    frameErrors: isHtml && refused !== undefined ? JSON.stringify(refused.errors) : undefined,
    frameValues: isHtml && refused !== undefined ? JSON.stringify(refused.values) : undefined,
    prices: pricesInTwo(prices, refused?.errors ?? {}),
    errors: refused?.errors ?? {},
    testAction: existing === null ? undefined : testAction(c, installation),
    existing: existing?.id,
  };
  return accountPage(panel, c, 'admin/product', data, refused === undefined ? 200 : 422);
}

async function save(
  panel: Panel,
  c: AccountContext,
  installation: InstallationRow,
  existing: Existing | null,
): Promise<Response> {
  const tenant = c.get('tenant');
  const raw = await readForm(c);
  const form = await panel.deps.catalog.productForm(installation.id, existing?.id ?? null);
  const values = form.kind === 'html' ? frameData(raw) : typedValues(form.fields, raw);
  const head = v.safeParse(ProductForm, { ...raw });
  const { prices, errors } = readPrices(raw, tenant.currency);
  for (const issue of head.success ? [] : head.issues)
    (errors[v.getDotPath(issue) ?? ''] ??= []).push(issue.message);
  if (!head.success || Object.keys(errors).length > 0)
    return formPage(panel, c, installation, existing, { errors, raw, values });
  try {
    const result = await panel.deps.catalog.saveProduct({
      tenantId: tenant.id,
      installationId: installation.id,
      productId: existing?.id ?? null,
      name: head.output.name,
      description: head.output.description,
      active: head.output.active === 'on',
      data: values,
      prices,
      payFirst: head.output.pay_first === '' ? null : head.output.pay_first === 'yes',
      serviceName: head.output.service_name,
      accountId: c.get('account').accountId,
    });
    if (result.ok)
      return c.redirect(
        withNote(`${c.get('tenantBase')}/admin/products/${result.productId}`, 'product-saved'),
        303,
      );
    const whole = result.message === undefined ? {} : { '': [result.message] };
    return await formPage(panel, c, installation, existing, {
      errors: { ...whole, ...result.errors },
      raw,
      values,
    });
  } catch (error) {
    const mistakes = errorsOf(error);
    if (mistakes === undefined) throw error;
    return formPage(panel, c, installation, existing, { errors: mistakes, raw, values });
  }
}

export function productPages(app: AccountApp, panel: Panel): void {
  app.get('/products', async (c) => {
    need(c, 'products.manage');
    const products = await readProducts(panel, c.get('tenant').id);
    return accountPage(panel, c, 'admin/products', { title: c.get('t')('menu.products'), products });
  });

  app.get('/products/new', async (c) => {
    need(c, 'products.manage');
    const module = c.req.query('module');
    if (module !== undefined && module !== '')
      return formPage(panel, c, await installationOf(panel, c.get('tenant').id, idFrom(module)), null);
    return accountPage(panel, c, 'admin/product-module', {
      title: c.get('t')('admin.new_product'),
      crumb: { href: `${c.get('tenantBase')}/admin/products`, title: c.get('t')('menu.products') },
      modules: await installationChoices(panel, c.get('tenant').id, 'Product'),
    });
  });
  app.post('/products/new', async (c) => {
    need(c, 'products.manage');
    return save(
      panel,
      c,
      await installationOf(panel, c.get('tenant').id, idFrom(c.req.query('module'))),
      null,
    );
  });

  const moduleOf = (c: AccountContext, product: { installation_id: string | null }) => {
    if (product.installation_id === null)
      throw new HostError('CONFLICT', 'This product’s module is uninstalled.');
    return installationOf(panel, c.get('tenant').id, product.installation_id);
  };
  app.get('/products/:id', async (c) => {
    need(c, 'products.manage');
    const product = await productRow(panel, c);
    return formPage(panel, c, await moduleOf(c, product), product);
  });
  app.post('/products/:id', async (c) => {
    need(c, 'products.manage');
    const product = await productRow(panel, c);
    return save(panel, c, await moduleOf(c, product), product);
  });
}
