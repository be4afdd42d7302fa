/** What billing tells the host's listeners, in the transaction that did it. */
import { emit, type Told as AnyTold } from '../events/emit.ts';
import type { Trx } from '../jobs/task.ts';

export type Told = Extract<
  AnyTold,
  { readonly name: 'InvoiceCreated' | 'InvoicePaid' | 'PaymentFailed' | 'PaymentRefunded' }
>;

export async function tell(trx: Trx, told: Told): Promise<void> {
  await emit(trx, told);
}
