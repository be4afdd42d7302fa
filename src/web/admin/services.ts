/** All services of a tenant, and ordering one for a client. */
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { clientChoices, productChoices } from '../choices.ts';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { errorsOf, idFrom, readForm, typedValues } from '../forms.ts';
import { WEB_LIMITS } from '../limits.ts';
import { need } from '../need.ts';
import { withNote } from '../notes.ts';
import { pageNumber, paged, rowsFrom } from '../paging.ts';
import { accountPage, type Panel } from '../panel.ts';
import { shownPrices } from '../shown-prices.ts';

const STATUSES = ['pending', 'active', 'suspended', 'terminated', 'cancelled', 'fraud', 'manual'] as const;
const TEXT_CHARS = 100;

async function readServices(panel: Panel, c: AccountContext) {
  const page = pageNumber(c.req.query('page'));
  const status = STATUSES.find((known) => known === c.req.query('status'));
  const text = c.req.query('q')?.slice(0, TEXT_CHARS) ?? '';
  let query = panel.deps.db
    .selectFrom('services')
    .innerJoin('accounts', 'accounts.id', 'services.client_id')
    .innerJoin('products', 'products.id', 'services.product_id')
    .select([
      'services.id',
      'services.name',
      'services.status',
      'services.provision_status',
      'services.period',
      'services.amount_minor',
      'services.currency',
      'services.created_at',
      'accounts.id as client_id',
      'accounts.name as client',
      'products.name as product',
    ])
    .where('services.tenant_id', '=', c.get('tenant').id);
  if (status !== undefined) query = query.where('services.status', '=', status);
  if (text !== '') {
    const pattern = `%${text.replace(/[\\%_]/g, (character) => `\\${character}`)}%`;
    query = query.where(
      sql<boolean>`(services.name ilike ${pattern} or accounts.name ilike ${pattern} or accounts.email ilike ${pattern})`,
    );
  }
  const rows = await query
    .orderBy('services.created_at', 'desc')
    .limit(WEB_LIMITS.pageRows + 1)
    .offset(rowsFrom(page))
    .execute();
  return { ...paged(c.req.url, page, rows), filter: { status, q: text } };
}

const OrderForm = v.looseObject({
  client: v.pipe(v.string(), v.uuid('Choose a client.')),
  period: v.pipe(v.string(), v.minLength(1, 'Choose a period.')),
});

export function servicesPage(app: AccountApp, panel: Panel): void {
  app.get('/services', async (c) => {
    need(c, 'services.view');
    const { rows, paging, filter } = await readServices(panel, c);
    return accountPage(panel, c, 'admin/services', {
      title: c.get('t')('menu.services'),
      services: rows,
      paging,
      filter,
      statuses: STATUSES,
    });
  });

  const orderPage = async (
    c: AccountContext,
    refused?: { errors: FormErrors; values: Record<string, unknown>; client?: string },
  ) => {
    need(c, 'services.manage');
    const tenantId = c.get('tenant').id;
    const [clients, products] = await Promise.all([
      clientChoices(panel, tenantId),
      productChoices(panel, tenantId),
    ]);
    const chosen = products.find((product) => product.value === c.req.query('product'));
    const form = chosen === undefined ? undefined : await panel.deps.billing.orderForm(chosen.value);
    const shownPrice =
      chosen === undefined ? { prices: [], tax: null } : await shownPrices(panel, tenantId, chosen.value);
    const shown =
      form === undefined || refused === undefined
        ? form
        : { ...form, values: { ...form.values, ...refused.values } };
    const data = {
      title: c.get('t')('admin.new_service'),
      crumb: { href: `${c.get('tenantBase')}/admin/services`, title: c.get('t')('menu.services') },
      clients,
      products,
      chosen,
      form: shown,
      ...shownPrice,
      client: refused?.client ?? c.req.query('client'),
      errors: refused?.errors ?? {},
    };
    return accountPage(panel, c, 'admin/service-new', data, refused === undefined ? 200 : 422);
  };
  app.get('/services/new', (c) => orderPage(c));

  app.post('/services/new', async (c) => {
    need(c, 'services.manage');
    const tenantId = c.get('tenant').id;
    const productId = idFrom(c.req.query('product'));
    const raw = await readForm(c);
    const products = await productChoices(panel, tenantId);
    if (!products.some((product) => product.value === productId))
      throw new HostError('NOT_FOUND', 'There is no such product.');
    const { fields } = await panel.deps.billing.orderForm(productId);
    const values = typedValues(fields, raw);
    const parsed = v.safeParse(OrderForm, { ...raw });
    const client = typeof raw['client'] === 'string' ? raw['client'] : '';
    const clients = await clientChoices(panel, tenantId);
    if (!parsed.success || !clients.some((choice) => choice.value === client))
      return orderPage(c, { errors: { client: ['Choose a client.'] }, values, client });
    try {
      const result = await panel.deps.billing.order({
        clientId: client,
        productId,
        period: parsed.output.period,
        data: values,
        accountId: c.get('account').accountId,
      });
      if (!result.ok) return await orderPage(c, { errors: result.errors, values, client });
      return c.redirect(
        withNote(`${c.get('tenantBase')}/admin/services/${result.serviceId}`, 'ordered'),
        303,
      );
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return orderPage(c, { errors, values, client });
    }
  });
}
