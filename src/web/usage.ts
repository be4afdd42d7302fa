/** What installations used, read from usage_minutes: sums for cards and tables, and series for charts. */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import type { Tables } from '../database/tables.ts';
import { lineChart, type Chart } from './chart.ts';

const DAY_MS = 24 * 60 * 60_000;
const CHART_BUCKETS = 48;
const CHART_BUCKET_MS = 5 * 60_000;
const TICKS = 6;
const CHART_SERIES = 5;

export interface UsageSum {
  readonly invocations: number;
  readonly errors: number;
  readonly killed: number;
  readonly refused: number;
  readonly cpuUs: number;
  readonly wallMs: number;
}

/** Sums of the last 24 hours by installation. */
export async function usageByInstallation(
  db: Kysely<Tables>,
  tenantId: string,
  nowMs: number,
): Promise<ReadonlyMap<string, UsageSum>> {
  const rows = await db
    .selectFrom('usage_minutes')
    .innerJoin('installations', 'installations.id', 'usage_minutes.installation_id')
    .select((e) => [
      'usage_minutes.installation_id as id',
      sql<number>`${e.fn.sum('invocations')}::float8`.as('invocations'),
      sql<number>`${e.fn.sum('errors')}::float8`.as('errors'),
      sql<number>`${e.fn.sum('killed')}::float8`.as('killed'),
      sql<number>`${e.fn.sum('refused')}::float8`.as('refused'),
      sql<number>`${e.fn.sum('cpu_us')}::float8`.as('cpuUs'),
      sql<number>`${e.fn.sum('wall_ms')}::float8`.as('wallMs'),
    ])
    .where('installations.tenant_id', '=', tenantId)
    .where('minute', '>=', new Date(nowMs - DAY_MS))
    .groupBy('usage_minutes.installation_id')
    .execute();
  return new Map(rows.map(({ id, ...sum }) => [id, sum]));
}

const ZERO: UsageSum = { invocations: 0, errors: 0, killed: 0, refused: 0, cpuUs: 0, wallMs: 0 };

export function usageOf(sums: ReadonlyMap<string, UsageSum>, installationId: string): UsageSum {
  return sums.get(installationId) ?? ZERO;
}

export function totalUsage(sums: ReadonlyMap<string, UsageSum>): UsageSum {
  return [...sums.values()].reduce(
    (total, sum) => ({
      invocations: total.invocations + sum.invocations,
      errors: total.errors + sum.errors,
      killed: total.killed + sum.killed,
      refused: total.refused + sum.refused,
      cpuUs: total.cpuUs + sum.cpuUs,
      wallMs: total.wallMs + sum.wallMs,
    }),
    ZERO,
  );
}

const Point = v.object({ name: v.string(), bucket: v.number(), cpu_us: v.number() });

/** Processor time of a tenant's modules over the last four hours, in ms a minute; the busiest few. */
export async function cpuChart(
  db: Kysely<Tables>,
  input: { tenantId: string; installationId?: string; timezone: string; nowMs: number },
): Promise<Chart> {
  const end = Math.ceil(input.nowMs / CHART_BUCKET_MS) * CHART_BUCKET_MS;
  const start = end - CHART_BUCKETS * CHART_BUCKET_MS;
  const one = input.installationId ?? null;
  const { rows } = await sql`
    select modules.name, floor(extract(epoch from minute - ${new Date(start)}::timestamptz) * 1000 / ${CHART_BUCKET_MS}::float8)::int as bucket,
      sum(cpu_us)::float8 as cpu_us
    from usage_minutes
    join installations on installations.id = usage_minutes.installation_id
    join modules on modules.id = installations.module_id
    where installations.tenant_id = ${input.tenantId} and (${one}::uuid is null or installations.id = ${one}::uuid)
      and minute >= ${new Date(start)}::timestamptz and minute < ${new Date(end)}::timestamptz
    group by 1, 2
  `.execute(db);
  const byName = new Map<string, number[]>();
  for (const { name, bucket, cpu_us } of v.parse(v.array(Point), rows)) {
    const values = byName.get(name) ?? Array.from({ length: CHART_BUCKETS }, () => 0);
    values[bucket] = cpu_us / 1_000 / (CHART_BUCKET_MS / 60_000);
    byName.set(name, values);
  }
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const series = [...byName]
    .map(([name, values]) => ({ name, values }))
    .sort((a, b) => sum(b.values) - sum(a.values))
    .slice(0, CHART_SERIES);
  const clock = new Intl.DateTimeFormat('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    timeZone: input.timezone,
  });
  const ticks = Array.from({ length: TICKS }, (_, tick) => {
    const index = Math.round(((tick + 0.5) * CHART_BUCKETS) / TICKS);
    return { index, text: clock.format(start + index * CHART_BUCKET_MS) };
  });
  return lineChart(series, { ticks });
}
