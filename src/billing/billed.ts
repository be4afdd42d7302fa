/** Where a service's periods lie. */
import type { Trx } from '../jobs/task.ts';
import { type Service, timeZoneOf } from './activation.ts';
import { boundary, isRecurring } from './periods.ts';

/** Where its first `periods` periods end. */
export async function boundaryOf(trx: Trx, service: Service, periods: number): Promise<Date | null> {
  const { billing_anchor_at: anchor, period } = service;
  if (anchor === null || !isRecurring(period)) return null;
  return boundary(anchor, period, periods, await timeZoneOf(trx, service.tenant_id));
}
