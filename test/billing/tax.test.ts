/** Tax: lines and tax are the total exactly, at every rate; what comes off, is paid and is given back keeps the sums. */
import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { creditBalance } from '../../src/billing/credit.ts';
import { cancelLocked, lockInvoice, reduceLocked } from '../../src/billing/invoices.ts';
import { bookPayment } from '../../src/billing/payments.ts';
import { beginRefund, endRefund } from '../../src/billing/refunds.ts';
import { readBillingSettings, saveBillingSettings } from '../../src/billing/settings.ts';
import { mostOff, type TaxRule, withTax } from '../../src/billing/tax.ts';
import { useTestDatabase } from '../support/database.ts';
import { invoiceNow, newInvoice, newPayer } from './support.ts';

const database = useTestDatabase();
const rules = fc.record({ rateBp: fc.integer({ min: 0, max: 10_000 }), included: fc.boolean() });
const amounts = fc.integer({ min: 0, max: 500_000_000_000 });

async function taxedPayer(rule: TaxRule) {
  const { db } = database();
  const payer = await newPayer(db);
  const settings = await readBillingSettings(db, payer.tenantId);
  await saveBillingSettings(db, payer.tenantId, {
    ...settings,
    tax_rate_bp: rule.rateBp,
    prices_include_tax: rule.included,
  });
  return payer;
}

async function linesOf(invoiceId: string): Promise<number> {
  const items = await database()
    .db.selectFrom('invoice_items')
    .select('amount_minor')
    .where('invoice_id', '=', invoiceId)
    .execute();
  return items.reduce((sum, { amount_minor: amount }) => sum + amount, 0);
}

/** What must hold of every invoice, whatever happened to it. */
async function expectSums(invoiceId: string): Promise<void> {
  const invoice = await invoiceNow(database().db, invoiceId);
  const lines = await linesOf(invoiceId);
  expect(invoice.total_minor).toBe(invoice.tax_included ? lines : lines + invoice.tax_minor);
  expect(withTax(lines, { rateBp: invoice.tax_rate_bp, included: invoice.tax_included })).toEqual({
    taxMinor: invoice.tax_minor,
    totalMinor: invoice.total_minor,
  });
  expect(invoice.paid_minor).toBeLessThanOrEqual(invoice.total_minor);
}

describe('tax', () => {
  it.each([
    [100, 2_300, false, 23, 123],
    [123, 2_300, true, 23, 123],
    // Half a unit counts as a whole one.
    [50, 100, false, 1, 51],
    [49, 100, false, 0, 49],
    [999, 825, false, 82, 1_081],
    [1_000, 0, false, 0, 1_000],
  ])(
    'of %i at %i hundredths of a percent (included: %s) is %i, and %i in all',
    (sum, rateBp, included, tax, total) => {
      expect(withTax(sum, { rateBp, included })).toEqual({ taxMinor: tax, totalMinor: total });
    },
  );

  it('is within half a unit of the exact share, in whole units', () => {
    fc.assert(
      fc.property(amounts, rules, (sum, rule) => {
        const { taxMinor, totalMinor } = withTax(sum, rule);
        expect(Number.isSafeInteger(taxMinor)).toBe(true);
        expect(totalMinor).toBe(rule.included ? sum : sum + taxMinor);
        const whole = BigInt(rule.included ? 10_000 + rule.rateBp : 10_000);
        const off = 2n * (BigInt(taxMinor) * whole - BigInt(sum) * BigInt(rule.rateBp));
        expect(off > -whole && off <= whole).toBe(true);
      }),
    );
  });

  it('lets come off as much as is not paid, and not one unit more', () => {
    fc.assert(
      fc.property(
        amounts,
        rules,
        fc.double({ min: 0, max: 1, noNaN: true }),
        amounts,
        (sumMinor, rule, part, wantedMinor) => {
          const paidMinor = Math.floor(withTax(sumMinor, rule).totalMinor * part);
          const off = mostOff({ sumMinor, paidMinor, wantedMinor }, rule);
          expect(off).toBeLessThanOrEqual(Math.min(wantedMinor, sumMinor));
          expect(withTax(sumMinor - off, rule).totalMinor).toBeGreaterThanOrEqual(paidMinor);
          if (off < Math.min(wantedMinor, sumMinor))
            expect(withTax(sumMinor - off - 1, rule).totalMinor).toBeLessThan(paidMinor);
        },
      ),
    );
  });
});

describe('an invoice with tax', () => {
  it.each([
    [{ rateBp: 2_300, included: false }, 1_107, 207],
    [{ rateBp: 2_300, included: true }, 900, 168],
    [{ rateBp: 0, included: false }, 900, 0],
  ] as const)('of the tenant’s rate %o asks for %i', async (rule, total, tax) => {
    const payer = await taxedPayer(rule);
    const items = [300, 600].map((amountMinor) => ({
      kind: 'other' as const,
      serviceId: null,
      description: 'Work',
      quantity: 3,
      amountMinor,
    }));
    const invoice = await newInvoice(database().db, payer, 0, { items });
    expect(invoice).toMatchObject({ total_minor: total, tax_minor: tax, tax_rate_bp: rule.rateBp });
    await expectSums(invoice.id);
  });

  it('keeps its rate when the tenant changes its own', async () => {
    const { db } = database();
    const payer = await taxedPayer({ rateBp: 1_000, included: false });
    const invoice = await newInvoice(db, payer, 1_000);
    const settings = await readBillingSettings(db, payer.tenantId);
    await saveBillingSettings(db, payer.tenantId, { ...settings, tax_rate_bp: 5_000 });
    await db.transaction().execute(async (trx) => {
      const locked = await lockInvoice(trx, payer.tenantId, invoice.id);
      await reduceLocked(trx, locked, {
        kind: 'change',
        serviceId: null,
        description: '',
        amountMinor: -500,
      });
    });
    expect(await invoiceNow(db, invoice.id)).toMatchObject({ total_minor: 550, tax_minor: 50 });
  });

  it('keeps its sums through parts paid, lines taken off, refunds and cancelling, and no money appears', async () => {
    const { db } = database();
    const step = fc.tuple(
      fc.constantFrom('pay', 'less', 'refund', 'cancel'),
      fc.integer({ min: 1, max: 800 }),
    );
    await fc.assert(
      fc.asyncProperty(rules, fc.array(step, { minLength: 1, maxLength: 6 }), async (rule, steps) => {
        const payer = await taxedPayer(rule);
        const { id } = await newInvoice(db, payer, 1_000);
        let cameIn = 0;
        let lastPayment: { paymentId: string; left: number } | undefined;
        let wentOut = 0;
        for (const [what, amountMinor] of steps) {
          const { status } = await invoiceNow(db, id);
          const open = status === 'unpaid' || status === 'overdue';
          if (what === 'pay') {
            const { tenantId } = payer;
            const booking = { tenantId, invoiceId: id, amountMinor, currency: 'USD', instanceId: null };
            const { paymentId } = await bookPayment(db, { ...booking, transactionId: randomUUID() });
            lastPayment = { paymentId, left: amountMinor };
            cameIn += amountMinor;
          } else if (what === 'refund' && !open && lastPayment !== undefined && lastPayment.left > 0) {
            const { paymentId, left } = lastPayment;
            const part = Math.min(left, amountMinor);
            const { refundId } = await beginRefund(db, {
              tenantId: payer.tenantId,
              invoiceId: id,
              paymentId,
              amountMinor: part,
              method: 'manual',
              reason: '',
              accountId: payer.clientId,
            });
            await endRefund(db, payer.tenantId, refundId, { status: 'done' });
            lastPayment = { paymentId, left: left - part };
            wentOut += part;
          } else if (open)
            await db.transaction().execute(async (trx) => {
              const locked = await lockInvoice(trx, payer.tenantId, id);
              if (what === 'cancel') await cancelLocked(trx, locked, null);
              else if (what === 'less')
                await reduceLocked(trx, locked, {
                  kind: 'change',
                  serviceId: null,
                  description: '',
                  amountMinor: -amountMinor,
                });
            });
          await expectSums(id);
        }
        const end = await invoiceNow(db, id);
        const inHand = await creditBalance(db, payer.tenantId, payer.clientId);
        expect(inHand + end.paid_minor - end.refunded_minor).toBe(cameIn - wentOut);
      }),
      { numRuns: 25 },
    );
  });
});
