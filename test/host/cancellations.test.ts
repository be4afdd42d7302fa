/** Ending a service with its time: who may, what is told of it, until when it can be taken back; and an order whose process died. */
import { beforeAll, describe, expect, it } from 'vitest';
import { keepService } from '../../src/billing/cancellation.ts';
import { BILLING_LIMITS } from '../../src/billing/limits.ts';
import { useTestHost } from '../support/host.ts';
import { refusal, type Values } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });
const NAME = 'Ending';
const DAY_MS = 86_400_000;
const MEMBERS = `
  saveServiceData(data) { return { status: 'success', data }; }
  createJob() { return { status: 'success' }; }
  terminationJob() {
    return this.product_data.stays === true ? { status: 'error', message: 'It stays.' } : { status: 'success' };
  }
`;

beforeAll(async () => {
  await host().publish({
    name: NAME,
    members: MEMBERS,
    manifest: { permissions: { tasks: { concurrency: 4, per_minute: 1_000 } } },
  });
  await host().a.installed(NAME);
});

let products = 0;
async function active(data: Values = {}): Promise<string> {
  const { a } = host();
  const serviceId = await a.order(await a.product(NAME, `Ending ${++products}`, data));
  await a.reached(serviceId, 'completed', 'active');
  return serviceId;
}

async function told(serviceId: string): Promise<string[]> {
  const rows = await host()
    .a.panel.db.selectFrom('events')
    .select(['name', 'payload'])
    .where('name', 'like', 'Service%')
    .orderBy('at')
    .execute();
  return rows
    .filter(({ payload }) => JSON.stringify(payload).includes(serviceId))
    .map(({ name }) => name)
    .filter((name) => /Cancel|Terminat/.test(name));
}

const later = (days: number): Date => new Date(Date.now() + days * DAY_MS);
const cancel = async (serviceId: string, actor: 'admin' | 'client' = 'admin') =>
  host().a.panel.invoicing.cancelService({ tenantId: host().a.id, serviceId, actor });
const keep = async (serviceId: string) =>
  host().a.panel.invoicing.keepService({ tenantId: host().a.id, serviceId });

describe('a cancellation', () => {
  it('is told when it is asked for, and once more when the service has ended', async () => {
    const { a, bulkhead } = host();
    const serviceId = await active();
    await cancel(serviceId);
    await cancel(serviceId);
    expect(await told(serviceId)).toEqual(['ServiceCancelling']);
    await bulkhead.billing.round(later(32));
    await a.reached(serviceId, 'terminated', 'terminated');
    expect((await told(serviceId)).toSorted()).toEqual([
      'ServiceCancelled',
      'ServiceCancelling',
      'ServiceTerminated',
      'ServiceTerminating',
    ]);
  });

  it('that the module cannot follow is told as failed', async () => {
    const { a, bulkhead } = host();
    const serviceId = await active({ stays: true });
    await cancel(serviceId);
    await bulkhead.billing.round(later(32));
    await a.ended(serviceId, 'terminationJob');
    expect(await told(serviceId)).toEqual(
      expect.arrayContaining(['ServiceTerminateFailed', 'ServiceCancelFailed']),
    );
  });

  it('is not told of a service that somebody just terminates', async () => {
    const { a } = host();
    const serviceId = await active();
    await a.action(serviceId, 'termination');
    await a.reached(serviceId, 'terminated', 'terminated');
    expect(await told(serviceId)).toEqual(['ServiceTerminating', 'ServiceTerminated']);
  });

  it('by the admin or the client can be taken back until its day, and not after it', async () => {
    const { a } = host();
    const serviceId = await active();
    for (const actor of ['admin', 'client'] as const) {
      const end = await cancel(serviceId, actor);
      expect(await a.service(serviceId)).toMatchObject({ cancel_at: end, status: 'active' });
      await keep(serviceId);
      expect(await a.service(serviceId)).toMatchObject({ cancel_at: null, status: 'active' });
    }
    const end = await cancel(serviceId);
    const onItsDay = () =>
      a.panel.db.transaction().execute(async (trx) => keepService(trx, a.id, serviceId, end));
    expect(await refusal(onItsDay)).toMatch(/^CONFLICT: This service is being ended already/);
  });

  it('cannot be taken back while the service is being ended before its day, nor when it has', async () => {
    const { a } = host();
    const serviceId = await active();
    await cancel(serviceId);
    const { id: taskId } = await a.panel.db
      .insertInto('tasks')
      .values({
        tenant_id: a.id,
        installation_id: await a.installationId(NAME),
        service_id: serviceId,
        method: 'terminationJob',
        status: 'processing',
        dedupe_key: 'by hand',
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    expect(await refusal(() => keep(serviceId))).toMatch(/^CONFLICT: This service is being ended already/);
    await a.panel.db.deleteFrom('tasks').where('id', '=', taskId).execute();
    await a.action(serviceId, 'termination');
    await a.reached(serviceId, 'terminated', 'terminated');
    expect(await refusal(() => keep(serviceId))).toMatch(/^CONFLICT: The cancellation of this service/);
  });
});

describe('an order whose process died before its module was asked', () => {
  it('is made when its time has come; one that nobody placed is not', async () => {
    const { a } = host();
    const serviceId = await active();
    const { product_id, installation_id, client_id, tenant_id, period } = await a.service(serviceId);
    const row = {
      product_id,
      installation_id,
      client_id,
      tenant_id,
      period,
      name: 'Left',
      currency: 'USD',
    };
    const left = async (host_acts_at: Date | null) =>
      a.panel.db
        .insertInto('services')
        .values({ ...row, setup_minor: 0, amount_minor: 0, host_acts_at })
        .returning('id')
        .executeTakeFirstOrThrow();
    const nobodys = await left(null);
    const fresh = await left(later(1));
    const old = await left(later(-1));
    await until('it to run', async () => (await a.service(old.id)).status === 'active');
    for (const { id } of [nobodys, fresh]) expect(await a.service(id)).toMatchObject({ status: 'pending' });
  });

  it('is expected of every order that waits for no payment, until its module was asked', async () => {
    const { a } = host();
    const serviceId = await active();
    expect(await a.service(serviceId)).toMatchObject({ host_acts_at: null });
  });
});

describe('what the host tries with a service', () => {
  it('is tried later each time, is left to a person in the end, and begins anew when one takes it up', async () => {
    const { a, bulkhead } = host();
    const serviceId = await active({ stays: true });
    await cancel(serviceId);
    const set = (row: { host_tries?: number; host_acts_at: Date }) =>
      a.panel.db.updateTable('services').set(row).where('id', '=', serviceId).execute();
    const waitMinutes = async (): Promise<number> => {
      const { host_acts_at: next } = await a.service(serviceId);
      return Math.round(((next?.getTime() ?? 0) - Date.now()) / 60_000);
    };
    const round = async () => {
      await bulkhead.billing.round(later(32));
      await until('no task of it to be open', async () =>
        (await a.tasks(serviceId)).every((task) => task.finished_at !== null),
      );
    };
    for (const minutes of [10, 20, 40]) {
      await round();
      expect(await waitMinutes()).toBe(minutes);
      await set({ host_acts_at: later(-1) });
    }
    await set({ host_acts_at: later(-1), host_tries: BILLING_LIMITS.actionTries });
    const before = (await a.tasks(serviceId)).length;
    await round();
    await round();
    expect(await a.tasks(serviceId)).toHaveLength(before);
    expect(await a.service(serviceId)).toMatchObject({
      host_action: 'termination',
      host_gave_up_at: expect.any(Date),
    });
    await a.action(serviceId, 'termination');
    await a.ended(serviceId, 'terminationJob');
    expect(await a.service(serviceId)).toMatchObject({ host_gave_up_at: null, host_tries: 0 });
  });

  it('is done once for each of a tenant’s many, more than a round does, and for another tenant’s one', async () => {
    const { a, b, bulkhead } = host();
    await b.installed(NAME);
    const left = async (of: typeof a, count: number): Promise<string[]> => {
      const product_id = await of.product(NAME, `Slices ${++products}`);
      const row = {
        tenant_id: of.id,
        client_id: of.clientId,
        installation_id: await of.installationId(NAME),
        product_id,
        name: 'Left',
        currency: 'USD',
        period: 'monthly',
        setup_minor: 0,
        amount_minor: 0,
        host_acts_at: later(-1),
      };
      const rows = await of.panel.db
        .insertInto('services')
        .values(Array.from({ length: count }, () => row))
        .returning('id')
        .execute();
      return rows.map(({ id }) => id);
    };
    const many = await left(a, BILLING_LIMITS.dutiesOfTenant + 5);
    const [few = ''] = await left(b, 1);
    await bulkhead.billing.prompt();
    await until('the other tenant’s', async () => (await b.service(few)).status === 'active');
    for (const id of many) await a.reached(id, 'completed', 'active');
    expect(await a.tasks(many[0] ?? '')).toHaveLength(1);
  });
});
