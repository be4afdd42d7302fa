/** Reading results: what is due, how each check stands, and the points of its chart. */
import { sql, type Kysely } from 'bulkhead';
import type { Check, Tables } from '../models/tables.ts';

/** A run that comes a little early counts: else a check of 60 seconds would run every second time. */
const EARLY_SECONDS = 5;
const KEPT_DAYS = 30;
const HOURS = 24;
const POINTS = 120;

export interface Standing {
  readonly check_id: number;
  readonly checks: number;
  readonly ups: number;
  readonly average: number | null;
}

export type Point = { readonly at: string; readonly ms: number | null; readonly up: boolean };

export class Results {
  private readonly db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.db = db;
  }

  /** Active checks whose interval has passed since their last result. */
  async due(): Promise<Check[]> {
    return this.db
      .selectFrom('monitoring_checks as c')
      .selectAll('c')
      .where('c.active', '=', true)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom('monitoring_results as r')
              .select('r.id')
              .whereRef('r.check_id', '=', 'c.id')
              .where(
                'r.checked_at',
                '>',
                sql<Date>`now() - make_interval(secs => greatest(c.interval - ${EARLY_SECONDS}::int, 1))`,
              ),
          ),
        ),
      )
      .orderBy('c.id')
      .execute();
  }

  async last(
    checkId: number,
  ): Promise<{ status: boolean; error_message: string | null; checked_at: Date } | undefined> {
    return this.db
      .selectFrom('monitoring_results')
      .select(['status', 'error_message', 'checked_at'])
      .where('check_id', '=', checkId)
      .orderBy('checked_at', 'desc')
      .limit(1)
      .executeTakeFirst();
  }

  /** Each check over the last 24 hours. */
  async standings(): Promise<Standing[]> {
    return this.db
      .selectFrom('monitoring_results')
      .select((eb) => [
        'check_id',
        sql<number>`count(*)::int`.as('checks'),
        sql<number>`(count(*) filter (where status))::int`.as('ups'),
        eb.fn.avg<number | null>('response_time').as('average'),
      ])
      .where('checked_at', '>', sql<Date>`now() - make_interval(hours => ${HOURS}::int)`)
      .groupBy('check_id')
      .execute();
  }

  /** The newest results of a check, oldest first. */
  async points(checkId: number): Promise<Point[]> {
    const rows = await this.db
      .selectFrom('monitoring_results')
      .select(['checked_at', 'response_time', 'status'])
      .where('check_id', '=', checkId)
      .orderBy('checked_at', 'desc')
      .limit(POINTS)
      .execute();
    return rows
      .reverse()
      .map((row) => ({ at: row.checked_at.toISOString(), ms: row.response_time, up: row.status }));
  }

  async clean(): Promise<void> {
    await this.db
      .deleteFrom('monitoring_results')
      .where('checked_at', '<', sql<Date>`now() - make_interval(days => ${KEPT_DAYS}::int)`)
      .execute();
  }
}
