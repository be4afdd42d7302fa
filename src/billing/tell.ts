/**
 * What billing tells the rest of the host, in the transaction that did it: the one place that knows how events are sent.
 */
import type { Trx } from '../jobs/task.ts';

export interface Told {
  readonly name: 'InvoiceCreated' | 'InvoicePaid' | 'PaymentFailed' | 'PaymentRefunded';
  readonly tenantId: string;
  readonly payload: Readonly<Record<string, string | number | null>>;
}

/** Nobody listens yet. */
export async function tell(_trx: Trx, _told: Told): Promise<void> {}
