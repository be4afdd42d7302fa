/** A client's invoices: the list with the credit at hand, one invoice that prints well, and using credit. Paying is src/web/client/pay.ts. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { creditBalance } from '../../billing/credit.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { errorsOf, idFrom } from '../forms.ts';
import { creditRows, invoiceItems, invoicePayments, invoiceRows } from '../invoice-rows.ts';
import { WEB_LIMITS } from '../limits.ts';
import { withNote } from '../notes.ts';
import { pageNumber, paged, rowsFrom } from '../paging.ts';
import { accountPage, type Panel } from '../panel.ts';

function own(panel: Panel, c: AccountContext) {
  return invoiceRows(panel, c.get('tenant').id).where('invoices.client_id', '=', c.get('account').accountId);
}

async function invoiceOf(panel: Panel, c: AccountContext) {
  const row = await own(panel, c)
    .where('invoices.id', '=', idFrom(c.req.param('id')))
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such invoice.');
  return row;
}

function balanceOf(panel: Panel, c: AccountContext): Promise<number> {
  return creditBalance(panel.deps.db, c.get('tenant').id, c.get('account').accountId);
}

export function clientInvoicePages(app: AccountApp, panel: Panel): void {
  app.get('/invoices', async (c) => {
    const page = pageNumber(c.req.query('page'));
    const rows = await own(panel, c)
      .orderBy('invoices.created_at', 'desc')
      .limit(WEB_LIMITS.pageRows + 1)
      .offset(rowsFrom(page))
      .execute();
    const shown = paged(c.req.url, page, rows);
    return accountPage(panel, c, 'client/invoices', {
      title: c.get('t')('menu.invoices'),
      invoices: shown.rows,
      paging: shown.paging,
      balance: await balanceOf(panel, c),
    });
  });

  app.get('/invoices/:id', async (c) => {
    const invoice = await invoiceOf(panel, c);
    const [items, payments, credit, balance] = await Promise.all([
      invoiceItems(panel, invoice.id),
      invoicePayments(panel, invoice.id),
      creditRows(panel, { invoiceId: invoice.id }),
      balanceOf(panel, c),
    ]);
    return accountPage(panel, c, 'client/invoice', {
      title: invoice.label,
      crumb: { href: `${c.get('tenantBase')}/invoices`, title: c.get('t')('menu.invoices') },
      invoice,
      items,
      payments,
      credit,
      balance,
      tenant: c.get('tenant'),
    });
  });

  app.post('/invoices/:id/credit', async (c) => {
    const invoice = await invoiceOf(panel, c);
    const { accountId } = c.get('account');
    try {
      await panel.deps.invoicing.useCredit({
        tenantId: c.get('tenant').id,
        invoiceId: invoice.id,
        accountId,
      });
    } catch (error) {
      if (errorsOf(error) === undefined) throw error;
    }
    return c.redirect(withNote(`${c.get('tenantBase')}/invoices/${invoice.id}`, 'credit-used'), 303);
  });
}
