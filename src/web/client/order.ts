/** Ordering: what is on sale, and the order form of one product. */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { InvocationFailed } from '../../catalog/invoke.ts';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { errorsOf, idFrom, readForm, typedValues } from '../forms.ts';
import { WEB_LIMITS } from '../limits.ts';
import { withNote } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';
import { shownPrices } from '../shown-prices.ts';

/** On sale: active, its module enabled, and with a price. */
function onSale(panel: Panel, tenantId: string) {
  return (
    panel.deps.db
      .selectFrom('products')
      .innerJoin('installations', 'installations.id', 'products.installation_id')
      .innerJoin('prices', 'prices.product_id', 'products.id')
      .select([
        'products.id',
        'products.name',
        'products.description',
        sql<number>`min(prices.amount_minor)::float8`.as('from_minor'),
      ])
      .where('products.tenant_id', '=', tenantId)
      .where('products.active', '=', true)
      // 'restricted': a newer version waits for consent, and the one that is sold goes on.
      .where('installations.status', 'in', ['active', 'restricted'])
      .where('installations.paused_at', 'is', null)
      .groupBy('products.id')
  );
}

const OrderForm = v.looseObject({
  period: v.pipe(v.string(), v.minLength(1, 'Choose a period.')),
  token: v.pipe(v.string(), v.uuid()),
});

export function orderPages(app: AccountApp, panel: Panel): void {
  const { billing } = panel.deps;

  app.get('/order', async (c) => {
    const products = await onSale(panel, c.get('tenant').id)
      .orderBy('products.name')
      .limit(WEB_LIMITS.pageRows * 2)
      .execute();
    return accountPage(panel, c, 'client/order', { title: c.get('t')('menu.order'), products });
  });

  const find = async (c: AccountContext) => {
    const id = idFrom(c.req.param('product'));
    const product = await onSale(panel, c.get('tenant').id).where('products.id', '=', id).executeTakeFirst();
    if (product === undefined) throw new HostError('NOT_FOUND', 'This product is not on sale.');
    return product;
  };
  const page = async (
    c: AccountContext,
    refused?: { errors: FormErrors; values: Record<string, unknown> },
  ) => {
    const product = await find(c);
    const [form, shownPrice] = await Promise.all([
      billing.orderForm(product.id),
      shownPrices(panel, c.get('tenant').id, product.id),
    ]);
    const shown = refused === undefined ? form : { ...form, values: { ...form.values, ...refused.values } };
    const data = {
      title: product.name,
      crumb: { href: `${c.get('tenantBase')}/order`, title: c.get('t')('menu.order') },
      product,
      form: shown,
      ...shownPrice,
      // The same form sent twice is one order.
      token: randomUUID(),
      errors: refused?.errors ?? {},
    };
    return accountPage(panel, c, 'client/order-form', data, refused === undefined ? 200 : 422);
  };
  app.get('/order/:product', (c) => page(c));

  app.post('/order/:product', async (c) => {
    const product = await find(c);
    const raw = await readForm(c);
    const { fields } = await billing.orderForm(product.id);
    const values = typedValues(fields, raw);
    const form = v.safeParse(OrderForm, { ...raw });
    if (!form.success) {
      const errors =
        v.flatten(form.issues).nested?.period === undefined
          ? { '': [c.get('t')('billing.open_form_anew')] }
          : { period: ['Choose a period.'] };
      return page(c, { errors, values });
    }
    const { accountId } = c.get('account');
    try {
      const result = await billing.order({
        clientId: accountId,
        productId: product.id,
        period: form.output.period,
        data: values,
        accountId,
        token: form.output.token,
      });
      if (!result.ok) return await page(c, { errors: result.errors, values });
      const base = c.get('tenantBase');
      const next =
        result.invoiceId === null
          ? withNote(`${base}/services/${result.serviceId}`, 'ordered')
          : withNote(`${base}/invoices/${result.invoiceId}`, 'order-to-pay');
      return c.redirect(next, 303);
    } catch (error) {
      if (error instanceof InvocationFailed)
        return page(c, { errors: { '': [c.get('t')('client.module_failed')] }, values });
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return page(c, { errors, values });
    }
  });
}
