/** A client's money, on the admin's page of the client: invoices, credit and its ledger, and giving or taking credit. */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { creditBalance } from '../../billing/credit.ts';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, errorsOf, idFrom, majorText, minorUnits } from '../forms.ts';
import { creditRows, invoiceRows } from '../invoice-rows.ts';
import { WEB_LIMITS } from '../limits.ts';
import { need } from '../need.ts';
import { withNote } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';

const CountryForm = v.object({
  country: v.pipe(
    v.string(),
    v.trim(),
    v.toUpperCase(),
    v.regex(/^(?:[A-Z]{2})?$/, 'Two letters, for example PL.'),
  ),
});
const CreditForm = v.object({
  amount: v.pipe(v.string(), v.trim()),
  direction: v.picklist(['give', 'take']),
  note: v.optional(v.pipe(v.string(), v.trim(), v.maxLength(200, 'Use at most 200 characters.')), ''),
});

async function clientOf(panel: Panel, c: AccountContext) {
  const row = await panel.deps.db
    .selectFrom('accounts')
    .select(['id', 'name', 'email', 'country'])
    .where('tenant_id', '=', c.get('tenant').id)
    .where('kind', '=', 'client')
    .where('id', '=', idFrom(c.req.param('id')))
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such client.');
  return row;
}

export function clientBillingPages(app: AccountApp, panel: Panel): void {
  const page = async (c: AccountContext, errors: FormErrors = {}) => {
    need(c, 'billing.view');
    const tenantId = c.get('tenant').id;
    const client = await clientOf(panel, c);
    const [invoices, credit, balance] = await Promise.all([
      invoiceRows(panel, tenantId)
        .where('invoices.client_id', '=', client.id)
        .orderBy('invoices.created_at', 'desc')
        .limit(WEB_LIMITS.pageRows)
        .execute(),
      creditRows(panel, { clientId: client.id }),
      creditBalance(panel.deps.db, tenantId, client.id),
    ]);
    const data = {
      title: client.name,
      crumb: { href: `${c.get('tenantBase')}/admin/clients`, title: c.get('t')('menu.clients') },
      client,
      invoices,
      credit,
      balance,
      errors,
    };
    return accountPage(panel, c, 'admin/client-billing', data, Object.keys(errors).length === 0 ? 200 : 422);
  };
  app.get('/clients/:id/billing', (c) => page(c));

  app.post('/clients/:id/country', async (c) => {
    need(c, 'clients.manage');
    const client = await clientOf(panel, c);
    const form = await checkForm(c, CountryForm);
    if (!form.ok) return page(c, form.errors);
    const country = form.value.country === '' ? null : form.value.country;
    await panel.deps.db
      .updateTable('accounts')
      .set({ country })
      .where('id', '=', client.id)
      .where('tenant_id', '=', c.get('tenant').id)
      .execute();
    return c.redirect(
      withNote(`${c.get('tenantBase')}/admin/clients/${client.id}/billing`, 'profile-saved'),
      303,
    );
  });

  app.post('/clients/:id/credit', async (c) => {
    need(c, 'billing.manage');
    const client = await clientOf(panel, c);
    const form = await checkForm(c, CreditForm);
    if (!form.ok) return page(c, form.errors);
    const { currency } = c.get('tenant');
    const minor = minorUnits(form.value.amount, currency);
    if (minor === undefined || minor === 0)
      return page(c, {
        amount: [c.get('t')('billing.amount_expected', { example: majorText(1_250, currency) })],
      });
    try {
      await panel.deps.invoicing.giveCredit({
        tenantId: c.get('tenant').id,
        clientId: client.id,
        amountMinor: form.value.direction === 'give' ? minor : -minor,
        note: form.value.note,
        accountId: c.get('account').accountId,
      });
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return page(c, errors);
    }
    return c.redirect(
      withNote(`${c.get('tenantBase')}/admin/clients/${client.id}/billing`, 'credit-saved'),
      303,
    );
  });
}
