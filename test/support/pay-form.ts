/** A gateway whose own page has a form: the card "good" pays, "3ds" leads to the bank, "elsewhere" to where it may not, others are declined. */
import type { ModuleSource } from './modules.ts';

export const PAY_FORM: ModuleSource = {
  name: 'PayForm',
  type: 'Payment',
  prelude: `import { redirect } from 'bulkhead';
    const FORM = '<form method="post"><label>Card <input name="card" class="form-control"></label> <button class="btn btn-primary">Pay</button></form>';`,
  members: `
    getClientAreaHtml() { return FORM; }
    async clientAreaPost(request, { invoice }) {
      const card = request.input('card');
      if (card === '3ds') return redirect('https://acs.bank.example/3ds');
      if (card === 'elsewhere') return redirect('https://elsewhere.example/');
      if (card !== 'good') return '<p>This card was declined.</p>' + FORM;
      await this.invoices.recordPayment({
        invoice_uuid: invoice.uuid, transaction_id: 'form-' + invoice.number, amount: invoice.due_amount, currency: invoice.currency,
      });
      return redirect(this.getReturnUrl());
    }
  `,
  manifest: { permissions: { invoices: ['record'], redirect: { hosts: ['acs.bank.example'] } } },
};
