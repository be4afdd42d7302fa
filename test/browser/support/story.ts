/** A panel that has been used for a while: what pictures are taken of and what the crawl over all pages visits. */
import type { Demo } from '../../../src/cli/demo/start.ts';
import { fixtureFolder, packFolder } from '../../support/modules.ts';
import type { Tenant, Values } from '../../support/tenant.ts';
import { type Monitoring, setUpMonitoring } from './monitoring.ts';
import { type Payments, setUpPayments } from './payments.ts';
import { setUpSenders } from './senders.ts';

export const VPS = 'VPSHosting';
export const VPS_SMALL: Values = {
  cpu_cores: 1,
  ram_mb: 1024,
  disk_gb: 25,
  bandwidth_gb: 1000,
  location: 'us-east-1',
  backup_enabled: false,
};
const VPS_MEDIUM: Values = { ...VPS_SMALL, cpu_cores: 2, ram_mb: 2048, disk_gb: 50 };

export interface Story {
  readonly installationId: string;
  readonly moduleId: string;
  readonly versionId: string;
  readonly productId: string;
  readonly serviceId: string;
  readonly taskId: string;
  readonly failedTaskId: string;
  readonly payments: Payments;
  readonly monitoring: Monitoring;
  readonly invoiceId: string;
  readonly paidInvoiceId: string;
}

/** Settings that lead the VPS module to the demo's cloud, and let it look often. */
export function vpsSettings(demo: Demo): Values {
  return {
    api_url: demo.cloud.cloud,
    api_key: demo.state.cloud.token,
    status_check_delay: 0.2,
    retry_delay: 1,
  };
}

export async function tellStory(demo: Demo, tenant: Tenant): Promise<Story> {
  const { bulkhead } = demo.server;
  const installationId = await tenant.installed(VPS, vpsSettings(demo), {
    without: ['http.hosts:api.digitalocean.com'],
    amounts: { 'http.per_minute': 120 },
  });
  const small = await product(tenant, 'VPS S', 'One core, 1 GB of memory, 25 GB of disk.', VPS_SMALL, 500);
  const medium = await product(
    tenant,
    'VPS M',
    'Two cores, 2 GB of memory, 50 GB of disk.',
    VPS_MEDIUM,
    1_200,
  );
  const serviceId = await tenant.order(small, { hostname: 'one.example.com', image_id: 'ubuntu-20.04' });
  await tenant.reached(serviceId, 'completed', 'active');
  await tenant.action(serviceId, 'suspend');
  await tenant.reached(serviceId, 'suspended', 'suspended');
  await tenant.action(serviceId, 'unsuspend');
  await tenant.reached(serviceId, 'completed', 'active');
  await bulkhead.panel.care.reconcile({
    tenantId: tenant.id,
    serviceId,
    account: { id: tenant.adminId, kind: 'admin', permissions: ['*'] },
  });
  while ((await bulkhead.careRound()) > 0);
  const second = await tenant.order(medium, { hostname: 'two.example.com', image_id: 'ubuntu-20.04' });
  await tenant.reached(second, 'completed', 'active');
  await tenant.action(second, 'suspend');
  await tenant.reached(second, 'suspended', 'suspended');

  await demo.cloud.control.addFault({
    match: { method: 'POST', path: '/v2/droplets' },
    kind: 'status',
    status: 500,
    forever: true,
  });
  const broken = await tenant.order(small, { hostname: 'three.example.com', image_id: 'ubuntu-20.04' });
  const failedTaskId = (await tenant.ended(broken, 'createJob')).id;
  await demo.cloud.control.clearFaults();

  await bulkhead.publish(await packFolder(fixtureFolder('Product/Troublemaker')), { status: 'published' });
  await tenant.installed('Troublemaker');
  const trouble = await tenant.product('Troublemaker', 'Trouble', { mischief: 'throw' });
  await tenant.ended(await tenant.order(trouble), 'createJob');
  await setUpSenders(demo, tenant);
  await bulkhead.recorder.flush();

  const { module_id: moduleId, version_id: versionId } = await tenant.installation(VPS);
  const [first] = await tenant.tasks(serviceId);
  return {
    installationId,
    moduleId,
    versionId,
    productId: small,
    serviceId,
    taskId: first?.id ?? '',
    failedTaskId,
    payments: await setUpPayments(demo, tenant),
    monitoring: await setUpMonitoring(demo, tenant),
    ...(await tellOfMoney(tenant)),
  };
}

/** One invoice waits, one is paid with too much and given back in part. */
async function tellOfMoney(tenant: Tenant): Promise<Pick<Story, 'invoiceId' | 'paidInvoiceId'>> {
  const { db, invoicing } = tenant.panel;
  const [first, second] = await db
    .selectFrom('invoices')
    .select(['id', 'total_minor'])
    .where('tenant_id', '=', tenant.id)
    .orderBy('number')
    .execute();
  if (first === undefined || second === undefined) throw new Error('two services have run and were billed');
  const by = { tenantId: tenant.id, accountId: tenant.adminId };
  const amountMinor = second.total_minor + 250;
  await invoicing.bookByHand({ ...by, invoiceId: second.id, amountMinor, reference: 'Transfer 4211/2026' });
  const { id: paymentId } = await db
    .selectFrom('payments')
    .select('id')
    .where('invoice_id', '=', second.id)
    .executeTakeFirstOrThrow();
  await invoicing.refundByHand({
    ...by,
    invoiceId: second.id,
    paymentId,
    amountMinor: 300,
    reason: 'An hour of downtime',
  });
  await invoicing.giveCredit({ ...by, clientId: tenant.clientId, amountMinor: 400, note: 'Welcome' });
  return { invoiceId: first.id, paidInvoiceId: second.id };
}

async function product(
  tenant: Tenant,
  name: string,
  description: string,
  data: Values,
  amountMinor: number,
): Promise<string> {
  const saved = await tenant.panel.catalog.saveProduct({
    tenantId: tenant.id,
    installationId: await tenant.installationId(VPS),
    productId: null,
    name,
    description,
    active: true,
    data,
    prices: [
      { period: 'monthly', setupMinor: 0, amountMinor },
      { period: 'annually', setupMinor: 0, amountMinor: amountMinor * 10 },
    ],
    accountId: tenant.adminId,
  });
  if (!saved.ok) throw new Error(JSON.stringify(saved));
  return saved.productId;
}
