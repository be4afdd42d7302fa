/**
 * Recurring invoices. A service knows how many periods were billed; a round bills those whose time has come, under the service's lock and
 * in one transaction with that number. So it does not matter how many processes do it, how often, or how many days none did.
 */
import { sql } from 'kysely';
import type { Db, Trx } from '../jobs/task.ts';
import { type Service, timeZoneOf } from './activation.ts';
import { createInvoice, type NewItem } from './invoices.ts';
import { BILLING_LIMITS } from './limits.ts';
import {
  boundary,
  isBilledByUse,
  isRecurring,
  longestLeadMs,
  PERIODS,
  type RecurringPeriod,
} from './periods.ts';
import { readBillingSettings } from './settings.ts';
import { billUse } from './use.ts';

const DAY_MS = 86_400_000;

/** Before a period begins, its invoice is made: the tenant's days, but for short periods at most half of one; hours are billed after. */
function leadMs(period: RecurringPeriod, aheadDays: number): number {
  return Math.min(aheadDays * DAY_MS, longestLeadMs(period));
}

/**
 * One service that cannot be billed (its tenant asks a price that no invoice holds) keeps nobody else's from being: it is told of, and
 * the round goes on, page by page, so that many of them do not stand in the way either.
 * @returns how many invoices were made
 */
export async function billPeriods(db: Db, now: Date, onFailed: OnFailed = raise): Promise<number> {
  let made = 0;
  let after: Candidate | undefined;
  do {
    const page = await candidates(db, now, after);
    for (const { id } of page)
      try {
        made += await db.transaction().execute(async (trx) => billService(trx, id, now));
      } catch (error) {
        onFailed(id, error);
      }
    after = page.length < BILLING_LIMITS.servicesARound ? undefined : page.at(-1);
  } while (after !== undefined);
  return made;
}

export type OnFailed = (serviceId: string, error: unknown) => void;

function raise(_serviceId: string, error: unknown): never {
  throw error;
}

interface Candidate {
  readonly id: string;
  /** As text: a Date would lose its microseconds. */
  readonly until: string;
}

async function candidates(db: Db, now: Date, after: Candidate | undefined): Promise<Candidate[]> {
  const leads = PERIODS.filter(isRecurring).map(
    (period) => sql`(${period}::text, ${longestLeadMs(period) / 1_000}::float8)`,
  );
  const beyond =
    after === undefined
      ? sql``
      : sql`and (s.billed_until, s.id) > (${after.until}::timestamptz, ${after.id})`;
  const { rows } = await sql<Candidate>`
    select s.id, s.billed_until::text as until from services s
    join (values ${sql.join(leads)}) as longest(period, seconds) on longest.period = s.period
    left join billing_settings b on b.tenant_id = s.tenant_id
    where s.status = 'active' and s.billed_until is not null
      and (s.cancel_at is null or s.billed_until < s.cancel_at)
      and s.billed_until <= ${now}::timestamptz + least(
        make_interval(days => coalesce(b.invoice_ahead_days, 7)), make_interval(secs => longest.seconds))
      ${beyond}
    order by s.billed_until, s.id
    limit ${BILLING_LIMITS.servicesARound}`.execute(db);
  return rows;
}

async function billService(trx: Trx, serviceId: string, now: Date): Promise<number> {
  const service = await trx
    .selectFrom('services')
    .selectAll()
    .where('id', '=', serviceId)
    .forNoKeyUpdate()
    .skipLocked()
    .executeTakeFirst();
  if (service?.status !== 'active' || !isRecurring(service.period)) return 0;
  if (isBilledByUse(service.period)) return billUse(trx, service, now, 'whole');
  const due = await duePeriods(trx, service, service.period, now);
  if (due === undefined) return 0;
  await createInvoice(trx, {
    tenantId: service.tenant_id,
    clientId: service.client_id,
    currency: service.currency,
    dueAt: due.from > now ? due.from : now,
    items: due.items,
  });
  await trx
    .updateTable('services')
    .set({ periods_billed: due.periods, billed_until: due.to })
    .where('id', '=', service.id)
    .execute();
  return 1;
}

interface Due {
  readonly items: NewItem[];
  readonly from: Date;
  readonly to: Date;
  /** Billed in all, with these. */
  readonly periods: number;
}

async function duePeriods(
  trx: Trx,
  service: Service,
  period: RecurringPeriod,
  now: Date,
): Promise<Due | undefined> {
  const { billing_anchor_at: anchor, billed_until: billedUntil, cancel_at: cancelAt } = service;
  if (anchor === null || billedUntil === null) return undefined;
  const [timeZone, settings] = await Promise.all([
    timeZoneOf(trx, service.tenant_id),
    readBillingSettings(trx, service.tenant_id),
  ]);
  const until = new Date(now.getTime() + leadMs(period, settings.invoice_ahead_days));
  const items: NewItem[] = [];
  let { periods_billed: periods } = service;
  let to = billedUntil;
  const isDue = (begin: Date): boolean => begin <= until && (cancelAt === null || begin < cancelAt);
  while (isDue(to) && items.length < BILLING_LIMITS.periodsAnInvoice) {
    const from = to;
    periods += 1;
    to = boundary(anchor, period, periods, timeZone);
    items.push({
      kind: 'period',
      serviceId: service.id,
      description: service.name,
      amountMinor: service.amount_minor,
      periodFrom: from,
      periodTo: to,
    });
  }
  return items.length === 0 ? undefined : { items, from: billedUntil, to, periods };
}

/** What was not paid in time says so. @returns how many invoices */
export async function markOverdue(db: Db, now: Date): Promise<number> {
  const result = await db
    .updateTable('invoices')
    .set({ status: 'overdue' })
    .where('status', '=', 'unpaid')
    .where('due_at', '<', now)
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}
