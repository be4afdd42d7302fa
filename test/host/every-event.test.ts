/**
 * Every event of the host has a path that emits it: each step below is what people and the clock do, and says what it must tell. An event
 * of the catalogue that no step names fails the last test.
 */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { hostEvents, type HostEventName } from '../../sandbox/contract/host-events.ts';
import type { ServiceAction } from '../../sandbox/contract/kinds/product.ts';
import { paymentFailed } from '../../src/billing/payments.ts';
import { billPeriods } from '../../src/billing/recurring.ts';
import { PASSWORD, useTestHost } from '../support/host.ts';
import { newInvoice } from '../support/invoices.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });
const NAME = 'Telling';
const DAY_MS = 86_400_000;
const FROM = { address: '192.0.2.7', userAgent: 'test' };
/** Told elsewhere: it takes a module that breaks its sandbox (breakage.test.ts). */
const ELSEWHERE: readonly HostEventName[] = ['ModulePaused'];
const job = (action: string): string =>
  `${action}Job() { return this.product_data.fails === '${action}' ? { status: 'error', message: 'No.' } : { status: 'success' }; }`;
const ACTIONS = ['create', 'suspend', 'unsuspend', 'termination', 'change_package', 'renew'];
const SOURCE = {
  name: NAME,
  members: `saveServiceData(data) { return { status: 'success', data }; }\n${ACTIONS.map(job).join('\n')}`,
  manifest: { permissions: { tasks: { concurrency: 4, per_minute: 1_000 } } },
};

beforeAll(async () => {
  await host().publish(SOURCE);
  await host().a.installed(NAME);
});

let products = 0;
async function product(fails = ''): Promise<string> {
  return host().a.product(NAME, `Telling ${++products}`, { fails });
}
async function active(fails = ''): Promise<string> {
  const serviceId = await host().a.order(await product(fails));
  await host().a.reached(serviceId, 'completed', 'active');
  return serviceId;
}
async function acted(serviceId: string, action: ServiceAction, to?: string): Promise<void> {
  await host().a.action(serviceId, action, to);
  await host().a.ended(serviceId, `${action}Job`);
}
async function cancelled(fails: string): Promise<void> {
  const { a, bulkhead } = host();
  const serviceId = await active(fails);
  await a.panel.invoicing.cancelService({ tenantId: a.id, serviceId, actor: 'client' });
  await bulkhead.billing.round(new Date(Date.now() + 40 * DAY_MS));
  await a.ended(serviceId, 'terminationJob');
}
async function renewed(fails: string): Promise<void> {
  const { a } = host();
  const { db } = a.panel;
  const serviceId = await active(fails);
  await billPeriods(db, new Date(Date.now() + 30 * DAY_MS));
  const items = await db
    .selectFrom('invoice_items as item')
    .innerJoin('invoices as invoice', 'invoice.id', 'item.invoice_id')
    .select(['invoice.id', 'invoice.total_minor as amountMinor'])
    .where('item.service_id', '=', serviceId)
    .orderBy('invoice.number')
    .execute();
  for (const { id, amountMinor } of items) await booked(id, amountMinor);
  await a.ended(serviceId, 'renewJob');
}
async function booked(invoiceId: string, amountMinor: number): Promise<void> {
  const { a } = host();
  const by = { tenantId: a.id, invoiceId, accountId: a.adminId };
  await a.panel.invoicing.bookByHand({ ...by, amountMinor, reference: randomUUID() });
}
async function refunded(): Promise<void> {
  const { a } = host();
  const invoiceId = await newInvoice(a, 500);
  await booked(invoiceId, 500);
  const { id: paymentId } = await a.panel.db
    .selectFrom('payments')
    .select('id')
    .where('invoice_id', '=', invoiceId)
    .executeTakeFirstOrThrow();
  const of = { tenantId: a.id, invoiceId, paymentId, accountId: a.adminId };
  await a.panel.invoicing.refundByHand({ ...of, amountMinor: 500, reason: 'asked' });
}
async function asUser(): Promise<void> {
  const { a } = host();
  const { auth } = a.panel;
  const email = `${randomUUID()}@telling.test`;
  const { id } = await auth.createAccount({
    kind: 'client',
    tenantId: a.id,
    email,
    name: 'New',
    password: PASSWORD,
  });
  const request = { kind: 'client', tenantId: a.id, email, ...FROM } as const;
  await auth.signIn({ ...request, password: 'not this one 1' });
  const signedIn = await auth.signIn({ ...request, password: PASSWORD });
  const session = signedIn.ok ? await auth.sessions.find(signedIn.token) : undefined;
  if (session === undefined) throw new Error('not signed in');
  await auth.signOut(session);
  await auth.setPassword(id, `${PASSWORD} and more`);
}
async function asModule(): Promise<void> {
  const { a } = host();
  const { versionId } = await host().publish({ ...SOURCE, version: '2.0.0' });
  await a.update(NAME, versionId);
  await a.enable(NAME);
  await a.disable(NAME);
}

const STEPS: readonly (readonly [string, readonly HostEventName[], () => Promise<unknown>])[] = [
  ['a service is made', ['ServiceCreating', 'ServiceCreated', 'InvoiceCreated'], () => active()],
  [
    'a service cannot be made',
    ['ServiceCreateFailed'],
    async () => host().a.reached(await host().a.order(await product('create')), 'failed', 'pending'),
  ],
  [
    'a service is suspended and resumed',
    ['ServiceSuspending', 'ServiceSuspended', 'ServiceUnsuspending', 'ServiceUnsuspended'],
    async () => {
      const serviceId = await active();
      await acted(serviceId, 'suspend');
      await acted(serviceId, 'unsuspend');
    },
  ],
  [
    'a service cannot be suspended',
    ['ServiceSuspendFailed'],
    async () => acted(await active('suspend'), 'suspend'),
  ],
  [
    'a service cannot be resumed',
    ['ServiceUnsuspendFailed'],
    async () => {
      const serviceId = await active('unsuspend');
      await acted(serviceId, 'suspend');
      await acted(serviceId, 'unsuspend');
    },
  ],
  [
    'a service is terminated',
    ['ServiceTerminating', 'ServiceTerminated'],
    async () => acted(await active(), 'termination'),
  ],
  [
    'a service cannot be terminated',
    ['ServiceTerminateFailed'],
    async () => acted(await active('termination'), 'termination'),
  ],
  ['a service is cancelled', ['ServiceCancelling', 'ServiceCancelled'], () => cancelled('')],
  ['a cancelled service cannot be ended', ['ServiceCancelFailed'], () => cancelled('termination')],
  [
    'a service changes its package',
    ['ServiceChangingPackage', 'ServiceChangedPackage'],
    async () => acted(await active(), 'change_package', await product()),
  ],
  [
    'a service cannot change its package',
    ['ServiceChangePackageFailed'],
    async () => acted(await active(), 'change_package', await product('change_package')),
  ],
  ['a period is paid', ['ServiceRenewing', 'ServiceRenewed', 'InvoicePaid'], () => renewed('')],
  ['a service cannot be renewed', ['ServiceRenewFailed'], () => renewed('renew')],
  [
    'a payment does not go through',
    ['PaymentFailed'],
    async () => {
      const { a } = host();
      const invoiceId = await newInvoice(a, 500);
      await paymentFailed(a.panel.db, {
        instanceId: randomUUID(),
        tenantId: a.id,
        invoiceId,
        reason: 'declined',
      });
    },
  ],
  ['a payment is given back', ['PaymentRefunded'], refunded],
  [
    'a client registers, signs in and out, and has a new password',
    ['ClientRegistered', 'UserLoginFailed', 'UserLoggedIn', 'UserLoggedOut', 'PasswordReset'],
    asUser,
  ],
  [
    'a module is updated and switched off',
    ['ModuleActivated', 'ModuleUpdated', 'ModuleDeactivated'],
    asModule,
  ],
];

async function told(): Promise<Set<string>> {
  const { a } = host();
  const rows = await a.panel.db
    .selectFrom('events')
    .select('name')
    .distinct()
    .where('tenant_id', '=', a.id)
    .execute();
  return new Set(rows.map(({ name }) => name));
}

describe('the host tells', () => {
  it.each(STEPS)('that %s', async (_what, names, step) => {
    await step();
    await until(names.join(), async () => {
      const all = await told();
      return names.every((name) => all.has(name));
    });
  });

  it('each event of the catalogue in one of these steps', () => {
    const named = new Set([...STEPS.flatMap(([, names]) => names), ...ELSEWHERE]);
    expect(Object.keys(hostEvents).toSorted()).toEqual([...named].toSorted());
  });
});
