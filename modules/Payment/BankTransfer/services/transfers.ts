/** Transfers that are awaited, and those that arrived. */
import type { Kysely } from 'bulkhead';
import type { Tables, Transfer, TransferStatus } from '../models/tables.ts';

type Wanted = Pick<Transfer, 'invoice_uuid' | 'invoice_number' | 'instance_uuid' | 'amount' | 'currency'>;

export class Transfers {
  private readonly db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.db = db;
  }

  /** The same wish, told before and not over. */
  async awaited(wanted: Wanted, now: Date): Promise<Transfer | undefined> {
    return this.db
      .selectFrom('bank_transfer_payments')
      .selectAll()
      .where('invoice_uuid', '=', wanted.invoice_uuid)
      .where('instance_uuid', '=', wanted.instance_uuid)
      .where('amount', '=', wanted.amount)
      .where('currency', '=', wanted.currency)
      .where('status', '=', 'awaiting_transfer')
      .where('expires_at', '>', now)
      .orderBy('id')
      .executeTakeFirst();
  }

  async add(transfer: Wanted & Pick<Transfer, 'reference' | 'expires_at'>): Promise<Transfer> {
    return this.db
      .insertInto('bank_transfer_payments')
      .values({ ...transfer, status: 'awaiting_transfer' })
      .returningAll()
      .executeTakeFirstOrThrow();
  }

  async find(id: number): Promise<Transfer | undefined> {
    if (!Number.isSafeInteger(id)) return undefined;
    return this.db.selectFrom('bank_transfer_payments').selectAll().where('id', '=', id).executeTakeFirst();
  }

  async received(id: number): Promise<void> {
    await this.db
      .updateTable('bank_transfer_payments')
      .set({ status: 'received', received_at: new Date() })
      .where('id', '=', id)
      .where('status', '=', 'awaiting_transfer')
      .execute();
  }

  async page(filter: {
    readonly status: TransferStatus | undefined;
    readonly page: number;
    readonly size: number;
  }): Promise<{ rows: Transfer[]; total: number }> {
    let query = this.db.selectFrom('bank_transfer_payments');
    if (filter.status !== undefined) query = query.where('status', '=', filter.status);
    const { total } = await query
      .select((e) => e.fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow();
    const rows = await query
      .selectAll()
      .orderBy('id', 'desc')
      .limit(filter.size)
      .offset((filter.page - 1) * filter.size)
      .execute();
    return { rows, total };
  }
}
