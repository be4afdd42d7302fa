/** Ending a service with its time: who may, what is told of it, until when it can be taken back; and an order whose process died. */
import { beforeAll, describe, expect, it } from 'vitest';
import { keepService } from '../../src/billing/cancellation.ts';
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
