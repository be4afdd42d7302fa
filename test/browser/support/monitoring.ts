/** Server Monitoring in use: a site that answers, one whose host was refused, one that waits for the admin. */
import type { Demo } from '../../../src/cli/demo/start.ts';
import type { Tenant } from '../../support/tenant.ts';
import { until } from '../../support/until.ts';

const NAME = 'ServerMonitoring';

export interface Monitoring {
  readonly monitoringId: string;
  /** An event that a module handled. */
  readonly eventId: string;
}

async function addCheck(tenant: Tenant, installationId: string, name: string, target: string): Promise<void> {
  await tenant.panel.modules.adminPage({
    installationId,
    path: 'checks',
    account: { id: tenant.adminId, kind: 'admin', permissions: ['*'] },
    request: {
      method: 'POST',
      url: '/checks',
      headers: [['content-type', 'application/x-www-form-urlencoded']],
      body: { text: new URLSearchParams({ name, target, type: 'http', interval: '60' }).toString() },
      params: {},
    },
  });
}

export async function setUpMonitoring(demo: Demo, tenant: Tenant): Promise<Monitoring> {
  const monitoringId = await tenant.installed(NAME);
  const { db, hosts } = tenant.panel;
  const requests = () =>
    db
      .selectFrom('host_requests')
      .select(['id', 'pattern'])
      .where('installation_id', '=', monitoringId)
      .orderBy('asked_at')
      .execute();
  await addCheck(tenant, monitoringId, 'Cloud API', `${demo.cloud.cloud}/`);
  await addCheck(tenant, monitoringId, 'Old site', 'https://old.example.com');
  await addCheck(tenant, monitoringId, 'Shop', 'https://shop.example.com');
  const [cloud, old] = await requests();
  const decide = (requestId: string | undefined, status: 'confirmed' | 'refused') =>
    hosts.decide({ requestId: requestId ?? '', status, accountId: tenant.adminId });
  await decide(cloud?.id, 'confirmed');
  await decide(old?.id, 'refused');
  await tenant.call(NAME, 'runChecks');
  const event = await until('an event that was handed out', () =>
    db
      .selectFrom('events')
      .select('id')
      .where('tenant_id', '=', tenant.id)
      .where('name', '=', 'ServiceCreated')
      .where('delivered_at', 'is not', null)
      .orderBy('at')
      .executeTakeFirst(),
  );
  return { monitoringId, eventId: event.id };
}
