/**
 * What modules are asked by the clock: usage once an hour, the comparison with the remote account once a day, of services in use. Any number
 * of processes do it at once: a service is taken by moving its next time on. Tenants take turns within a round, so that one with ten
 * thousand services delays nobody's first; what did not fit comes in the next.
 */
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { isDatabaseAway } from '../database/database-away.ts';
import { type JobLog, reasonOf } from '../jobs/log.ts';
import { type Loop, startLoop } from '../jobs/loop.ts';
import type { Db } from '../jobs/task.ts';
import { writeAction } from './actions.ts';
import { askReport, askUsage } from './asked.ts';
import { CARE_LIMITS } from './limits.ts';
import { type CaredService, type CareDeps, readService } from './service.ts';

interface Question {
  readonly method: string;
  readonly due: 'usage_due_at' | 'report_due_at';
  readonly everyMs: number;
  readonly ask: (deps: CareDeps, service: CaredService) => Promise<void>;
}

const QUESTIONS: readonly Question[] = [
  {
    method: 'usageUpdate',
    due: 'usage_due_at',
    everyMs: CARE_LIMITS.usageEveryMs,
    ask: async (deps, service) => void (await askUsage(deps, service)),
  },
  {
    method: 'reconcile',
    due: 'report_due_at',
    everyMs: CARE_LIMITS.reconcileEveryMs,
    ask: compare,
  },
];

/** What a person would want to know of stands in the timeline; that all is well does not. */
async function compare(deps: CareDeps, service: CaredService): Promise<void> {
  const asked = await askReport(deps, service, null);
  if (asked.ok && asked.report?.status === 'in_sync') return;
  await writeAction(deps.db, {
    tenantId: service.tenantId,
    installationId: service.installation.id,
    serviceId: service.id,
    action: 'reconcile',
    title: asked.report?.status ?? '',
    ok: asked.ok,
    message: asked.ok ? (asked.report?.message ?? '') : asked.message,
    durationMs: asked.durationMs,
    by: null,
  });
}

const Taken = v.array(v.object({ service_id: v.string(), tenant_id: v.string() }));
type Taken = v.InferOutput<typeof Taken>;

async function take(db: Db, { method, due, everyMs }: Question): Promise<Taken> {
  const { rows } = await sql`
    with due as (
      select s.id, s.tenant_id,
        row_number() over (partition by s.tenant_id order by c.${sql.ref(due)} nulls first, s.id) as place
      from services s
      join installations i on i.id = s.installation_id
      join module_versions m on m.id = i.version_id
      left join service_care c on c.service_id = s.id
      where s.status = 'active' and s.provision_status <> 'processing'
        and i.status in ('active', 'restricted') and i.paused_at is null
        and m.declaration -> 'methods' @> to_jsonb(${method}::text)
        and (c.service_id is null or c.${sql.ref(due)} <= now())
    )
    insert into service_care as care (service_id, tenant_id, ${sql.ref(due)})
    select id, tenant_id, now() + make_interval(secs => ${everyMs / 1_000}) from due
    where place <= ${CARE_LIMITS.servicesOfATenantARound}
    order by place, id limit ${CARE_LIMITS.servicesARound}
    on conflict (service_id) do update set ${sql.ref(due)} = excluded.${sql.ref(due)}
      where care.${sql.ref(due)} <= now()
    returning service_id, tenant_id`.execute(db);
  return v.parse(Taken, rows);
}

/** Asks those that are due. @returns how many */
export async function careRound(deps: CareDeps, log: JobLog): Promise<number> {
  let asked = 0;
  for (const question of QUESTIONS) {
    const waiting = await take(deps.db, question);
    asked += waiting.length;
    const next = async (): Promise<void> => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift())
        try {
          const { tenant_id: tenantId, service_id: serviceId } = one;
          await question.ask(deps, await readService(deps, { tenantId, serviceId }));
        } catch (error) {
          if (isDatabaseAway(error)) throw error;
          // Switched off or ended meanwhile: nothing to ask.
          if (!(error instanceof HostError)) log('warning', `${question.method}: ${reasonOf(error)}`);
        }
    };
    await Promise.all(Array.from({ length: CARE_LIMITS.askedAtOnce }, next));
  }
  return asked;
}

export function startCare(deps: CareDeps, log: JobLog): Loop {
  const round = async (): Promise<void> => void (await careRound(deps, log));
  return startLoop('usage and comparisons', CARE_LIMITS.roundEveryMs, round, log);
}
