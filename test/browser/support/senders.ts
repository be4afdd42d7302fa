/** A mail server of the tenant's own that has sent a mail, and one that could not. */
import type { Demo } from '../../../src/cli/demo/start.ts';
import { sendTest } from '../../../src/notifications/notifications.ts';
import type { Tenant } from '../../support/tenant.ts';
import { until } from '../../support/until.ts';

export async function setUpSenders(demo: Demo, tenant: Tenant): Promise<void> {
  const { smtp } = demo.cloud;
  const instanceId = await tenant.installedWithInstance('Email', {
    server: smtp.host,
    port: smtp.port,
    encryption: 'none',
    username: smtp.username,
    password: smtp.password,
    from_email: 'hello@acme.example',
    from_name: 'Acme',
  });
  await sent(tenant, instanceId, 'client@example.net');
  await demo.cloud.control.addFault({
    match: { method: 'SMTP', path: '/smtp/rcpt' },
    kind: 'status',
    status: 550,
  });
  await sent(tenant, instanceId, 'gone@example.net');
  await demo.cloud.control.clearFaults();
}

async function sent(tenant: Tenant, instanceId: string, to: string): Promise<void> {
  const { db } = tenant.panel;
  const id = await sendTest(db, { tenantId: tenant.id, instanceId, to });
  await until(`the end of the mail to ${to}`, async () =>
    db
      .selectFrom('deliveries')
      .select('id')
      .where('id', '=', id)
      .where('status', '<>', 'queued')
      .executeTakeFirst(),
  );
}
