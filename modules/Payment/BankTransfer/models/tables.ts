/** The module's table, as this.db knows it. What makes it is services/schema.ts. */
import type { Generated, Selectable } from 'bulkhead';

export const TRANSFER_STATUSES = ['awaiting_transfer', 'received'] as const;
export type TransferStatus = (typeof TRANSFER_STATUSES)[number];

export interface BankTransferPaymentsTable {
  id: Generated<number>;
  invoice_uuid: string;
  invoice_number: string;
  /** The account of ours that the client was told. */
  instance_uuid: string;
  /** Minor units. */
  amount: number;
  currency: string;
  reference: string;
  status: Generated<TransferStatus>;
  expires_at: Date;
  received_at: Date | null;
  created_at: Generated<Date>;
}

export interface Tables {
  bank_transfer_payments: BankTransferPaymentsTable;
}

export type Transfer = Selectable<BankTransferPaymentsTable>;
