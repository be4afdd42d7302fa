/** A client's credit: a ledger to which lines are only added, one after another under the client's lock. It never falls below nothing. */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Db, Trx } from '../jobs/task.ts';

export interface CreditLine {
  readonly tenantId: string;
  readonly clientId: string;
  readonly kind: 'overpayment' | 'manual' | 'applied' | 'returned' | 'refund' | 'change';
  /** Less than nothing takes from it. */
  readonly amountMinor: number;
  readonly currency: string;
  readonly invoiceId?: string;
  readonly paymentId?: string;
  readonly note?: string;
  readonly accountId?: string | null;
}

export async function creditBalance(db: Db, tenantId: string, clientId: string): Promise<number> {
  const last = await db
    .selectFrom('credit_entries')
    .select('balance_minor')
    .where('tenant_id', '=', tenantId)
    .where('client_id', '=', clientId)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  return last?.balance_minor ?? 0;
}

/** The balance under the client's lock: it stays so until the transaction ends. */
export async function lockCredit(
  trx: Trx,
  tenantId: string,
  clientId: string,
): Promise<{ balanceMinor: number; lines: number }> {
  const client = await trx
    .selectFrom('accounts')
    .select('id')
    .where('id', '=', clientId)
    .where('tenant_id', '=', tenantId)
    .where('kind', '=', 'client')
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (client === undefined) throw new HostError('NOT_FOUND', 'There is no such client.');
  const last = await trx
    .selectFrom('credit_entries')
    .select(['number', 'balance_minor'])
    .where('client_id', '=', clientId)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  return { balanceMinor: last?.balance_minor ?? 0, lines: last?.number ?? 0 };
}

/** @throws HostError CONFLICT if it would take more than there is, BAD_INPUT for another currency than the tenant's */
export async function addCredit(trx: Trx, line: CreditLine): Promise<number> {
  const { balanceMinor, lines } = await lockCredit(trx, line.tenantId, line.clientId);
  const after = balanceMinor + line.amountMinor;
  if (after < 0) throw new HostError('CONFLICT', 'The client does not have that much credit.');
  const { currency } = await trx
    .selectFrom('tenants')
    .select('currency')
    .where('id', '=', line.tenantId)
    .executeTakeFirstOrThrow();
  if (currency !== line.currency)
    throw new HostError('BAD_INPUT', `Credit is kept in ${currency}, not in ${line.currency}.`);
  await trx
    .insertInto('credit_entries')
    .values({
      tenant_id: line.tenantId,
      client_id: line.clientId,
      number: lines + 1,
      kind: line.kind,
      amount_minor: line.amountMinor,
      balance_minor: after,
      currency: line.currency,
      invoice_id: line.invoiceId ?? null,
      payment_id: line.paymentId ?? null,
      note: line.note ?? '',
      account_id: line.accountId ?? null,
    })
    .execute();
  return after;
}
