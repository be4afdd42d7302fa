/**
 * What billing makes the host do with services, through their modules' own jobs: create what was paid, suspend what is not, resume it
 * when it is, end what was cancelled. Duties are read off the state, not remembered: whatever was missed while nothing ran is found
 * again, and what somebody else did meanwhile is no duty any more.
 */
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { ServiceAction } from '../../sandbox/contract/kinds/product.ts';
import type { Db } from '../jobs/task.ts';
import { createLanes } from './lanes.ts';
import { BILLING_LIMITS } from './limits.ts';

const Duty = v.object({
  service_id: v.string(),
  tenant_id: v.string(),
  action: v.picklist(['create', 'suspend', 'unsuspend', 'termination', 'renew']),
});

/** Does the action as an admin would. @throws HostError when it is refused */
export type Act = (input: { serviceId: string; action: ServiceAction; accountId: null }) => Promise<unknown>;
export type OnRefused = (serviceId: string, action: ServiceAction, error: unknown) => void;

const GAVE_UP = `It did not work ${BILLING_LIMITS.actionTries} times; it is left to a person.`;

const IDLE = sql`s.provision_status <> 'processing' and (s.host_acts_at is null or s.host_acts_at <= now())
  and not exists (select 1 from tasks where service_id = s.id and tasks.status in ('queued', 'pending', 'processing'))`;

/** Invoices of the service that are overdue for longer than so many days. */
function overdueFor(days: ReturnType<typeof sql>, now: Date) {
  return sql`exists (
    select 1 from invoice_items item join invoices i on i.id = item.invoice_id
    where item.service_id = s.id and i.status = 'overdue'
      and i.due_at + make_interval(days => ${days}) < ${now}::timestamptz)`;
}

/** Those that a person waits for: looked at often. */
const PROMPT = sql`
  select s.id as service_id, s.tenant_id, 'create' as action from services s join invoices i on i.id = s.order_invoice_id
  where s.status = 'pending' and s.provision_status = 'pending' and i.status = 'paid' and ${IDLE}
  union all
  select s.id, s.tenant_id, 'create' from services s
  where s.status = 'pending' and s.provision_status = 'pending' and s.order_invoice_id is null
    and s.host_acts_at <= now() and not exists (select 1 from tasks where service_id = s.id)
  union all
  select s.id, s.tenant_id, 'unsuspend' from services s
  where s.overdue_since is not null and s.status = 'suspended' and s.cancel_at is null and ${IDLE}
    and not exists (select 1 from invoice_items item join invoices i on i.id = item.invoice_id
      where item.service_id = s.id and i.status = 'overdue')
  union all
  select s.id, s.tenant_id, 'renew' from services s
  where s.status = 'active' and ${IDLE} and s.id in (select service_id from service_renewals
    where told_at is null and tries < ${sql.lit(BILLING_LIMITS.renewTries)})`;

function slow(now: Date) {
  return sql`
    select s.id as service_id, s.tenant_id, 'termination' as action from services s
    left join billing_settings b on b.tenant_id = s.tenant_id
    where s.status in ('active', 'suspended') and ${IDLE} and (s.cancel_at <= ${now}::timestamptz
      or (s.overdue_since is not null and s.status = 'suspended' and b.terminate_after_days is not null
        and ${overdueFor(sql`b.terminate_after_days`, now)}))
    union all
    select s.id, s.tenant_id, 'suspend' from services s left join billing_settings b on b.tenant_id = s.tenant_id
    where s.status = 'active' and ${IDLE} and (s.cancel_at is null or s.cancel_at > ${now}::timestamptz)
      and ${overdueFor(sql`coalesce(b.suspend_after_days, 3)`, now)}`;
}

export interface Duties {
  prompt(): Promise<number>;
  /** Also those that follow from the calendar. */
  all(now: Date): Promise<number>;
  /** Resolves when no module is being asked any more. */
  idle(): Promise<void>;
}

type Duty = v.InferOutput<typeof Duty>;

/** A slice of each tenant's, those that were never tried first: nobody's many keep another's few from being done. */
async function readDuties(db: Db, query: ReturnType<typeof sql>): Promise<Duty[]> {
  const { rows } = await sql`
    select service_id, tenant_id, action from (
      select duty.*, row_number() over (
        partition by duty.tenant_id order by s.host_acts_at nulls first, duty.service_id) as place
      from (${query}) as duty join services s on s.id = duty.service_id
      where s.host_gave_up_at is null or s.host_action is distinct from duty.action) as placed
    where place <= ${BILLING_LIMITS.dutiesOfTenant} order by place, tenant_id`.execute(db);
  return v.parse(v.array(Duty), rows);
}

export function createDuties(db: Db, act: Act, onRefused: OnRefused): Duties {
  const lanes = createLanes({
    atOnce: BILLING_LIMITS.tenantsAtOnce,
    roundMs: BILLING_LIMITS.dutiesRoundMs,
  });
  const perform = async (query: ReturnType<typeof sql>): Promise<number> => {
    let done = 0;
    const doOne = async ({ service_id: serviceId, action }: Duty): Promise<void> => {
      try {
        if (await giveUp(db, serviceId, action)) throw new HostError('LIMIT', GAVE_UP);
        if (!(await claim(db, serviceId, action))) return;
        await act({ serviceId, action, accountId: null });
        done += 1;
      } catch (error) {
        // Also what nobody foresaw: it is one service's, and the others of the round are other tenants'.
        onRefused(serviceId, action, error);
      }
    };
    const works = new Map<string, (() => Promise<void>)[]>();
    for (const duty of await readDuties(db, query)) {
      const ofTenant = works.get(duty.tenant_id) ?? [];
      ofTenant.push(() => doOne(duty));
      works.set(duty.tenant_id, ofTenant);
    }
    await lanes.run(works);
    return done;
  };
  return {
    prompt: () => perform(PROMPT),
    all: async (now) => {
      await forgetSettled(db);
      return (await perform(PROMPT)) + (await perform(slow(now)));
    },
    idle: () => lanes.idle(),
  };
}

/**
 * One process at a time acts on a service. The claim is taken back when its status changes (service-status.ts); an action that was refused,
 * that failed, or whose process died is anybody's again after a while, which is longer each time. Renewals count their own tries.
 */
async function claim(db: Db, serviceId: string, action: ServiceAction): Promise<boolean> {
  const result = await db
    .updateTable('services')
    .set({
      host_acts_at: sql<Date>`now() + make_interval(secs => ${waitOf(action)})`,
      host_tries: triesOf(action),
      host_action: action,
      host_gave_up_at: null,
      ...(action === 'suspend' ? { overdue_since: sql<Date>`coalesce(overdue_since, now())` } : {}),
    })
    .where('id', '=', serviceId)
    .where((e) => e.or([e('host_acts_at', 'is', null), e('host_acts_at', '<=', sql<Date>`now()`)]))
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** How often the host has tried this with the service, with the try that begins now. */
function triesOf(action: ServiceAction) {
  return action === 'renew'
    ? sql<number>`0`
    : sql<number>`case when host_action = ${action}::text then host_tries + 1 else 1 end`;
}

/** Seconds until it may be tried again. */
function waitOf(action: ServiceAction) {
  const first = BILLING_LIMITS.retryActionMs / 1_000;
  const most = BILLING_LIMITS.retryActionMaxMs / 1_000;
  return sql`least(${most}::float8, ${first}::float8 * power(2, greatest(${triesOf(action)} - 1, 0)))`;
}

/**
 * Was it tried often enough? Then it is a person's: the service's page says so, and whatever a person does with the service begins anew.
 */
async function giveUp(db: Db, serviceId: string, action: ServiceAction): Promise<boolean> {
  const result = await db
    .updateTable('services')
    .set({ host_gave_up_at: sql<Date>`now()` })
    .where('id', '=', serviceId)
    .where('host_action', '=', action)
    .where('host_tries', '>=', BILLING_LIMITS.actionTries)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** A suspension that never came about, and is paid now, must not make a later one, by a person, end by itself. */
async function forgetSettled(db: Db): Promise<void> {
  await sql`
    update services s set overdue_since = null
    where s.overdue_since is not null and s.status = 'active'
      and not exists (select 1 from invoice_items item join invoices i on i.id = item.invoice_id
        where item.service_id = s.id and i.status = 'overdue')`.execute(db);
}
