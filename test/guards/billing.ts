/** Guards of money: what keeps it from being booked twice, given back twice, billed too early, or seen by another. */
import type { Guard } from './guards.ts';

const PAYMENTS = 'test/billing/payments.test.ts';
const LEDGER = 'test/billing/ledger.test.ts';
const SERVICES = 'test/host/billing.test.ts';
const PAGES = 'test/web/billing.test.ts';

export const billingGuards: readonly Guard[] = [
  {
    name: 'billing: a transaction of a gateway is booked once',
    file: 'migrations/0004_billing.sql',
    text: 'create unique index payments_once on payments (instance_id, transaction_id)',
    instead: 'create index payments_once on payments (instance_id, transaction_id)',
    test: PAYMENTS,
    only: 'told for two invoices at once',
  },
  {
    name: 'billing: payments of one invoice wait for each other',
    file: 'src/billing/invoices.ts',
    text: '    .forNoKeyUpdate()\n',
    instead: '',
    test: PAYMENTS,
    only: 'of a part, one of many at once',
  },
  {
    name: 'billing: an invoice is its tenant’s',
    file: 'src/billing/invoices.ts',
    text: "    .where('tenant_id', '=', tenantId)\n    .forNoKeyUpdate()",
    instead: '    .forNoKeyUpdate()',
    test: PAYMENTS,
    only: 'for another tenant’s invoice',
  },
  {
    name: 'billing: a payment is in the invoice’s currency',
    file: 'src/billing/payments.ts',
    text: 'if (booking.currency !== invoice.currency)',
    instead: 'if (booking.currency === "")',
    test: PAYMENTS,
    only: 'in another currency',
  },
  {
    name: 'billing: no more is given back than was paid',
    file: 'src/billing/refunds.ts',
    text: ' || amountMinor > left',
    instead: '',
    test: LEDGER,
    only: 'in parts ends with a refunded invoice',
  },
  {
    name: 'billing: credit does not fall below nothing',
    file: 'src/billing/credit.ts',
    text: 'if (after < 0) throw',
    instead: 'if (after < -1e12) throw',
    test: LEDGER,
    only: 'cannot be spent twice at once',
  },
  {
    name: 'billing: one process at a time acts on a service',
    file: 'src/billing/duties.ts',
    text: 'if (!(await claim(db, serviceId, action))) continue;',
    instead: 'void claim;',
    test: SERVICES,
    only: 'is created when it is paid, once',
  },
  {
    name: 'billing: what a person suspended stays so',
    file: 'src/billing/duties.ts',
    text: "where s.overdue_since is not null and s.status = 'suspended' and s.cancel_at",
    instead: "where s.status = 'suspended' and s.cancel_at",
    test: SERVICES,
    only: 'that a person suspended stays so',
  },
  {
    name: 'billing: a period is billed by one process',
    file: 'src/billing/recurring.ts',
    text: '    .forNoKeyUpdate()\n    .skipLocked()\n',
    instead: '',
    test: SERVICES,
    only: 'are made before the period begins',
  },
  {
    name: 'billing: what could not be made gives its money back',
    file: 'src/billing/service-status.ts',
    text: "    if (next === 'failed') await giveBackOrder(trx, row);\n",
    instead: '',
    test: SERVICES,
    only: 'that cannot be made gives the money back',
  },
  {
    name: 'billing: a service is billed once, when it first runs',
    file: 'src/billing/service-status.ts',
    text: "derived.status === 'active' && row.activated_at === null",
    instead: "derived.status === 'active'",
    test: SERVICES,
    only: 'that was suspended and resumed is not billed',
  },
  {
    name: 'billing: one form is one order',
    file: 'src/billing/place-order.ts',
    text: 'order_token: input.token ?? null',
    instead: 'order_token: null',
    test: SERVICES,
    only: 'sent twice by one form',
  },
  {
    name: 'billing: a client sees the own invoices',
    file: 'src/web/client/invoices.ts',
    text: ".where('invoices.client_id', '=', c.get('account').accountId)",
    instead: '',
    test: PAGES,
    only: 'sees the own invoices',
  },
];
