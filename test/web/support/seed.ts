/** Rows that look like a tenant at work: for tests, and for looking at pages. */
import { createHash, randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import { createAuth, type Auth } from '../../../src/auth/auth.ts';
import { createKeyring, MASTER_KEY_BYTES } from '../../../src/secrets/keyring.ts';
import type { Tables } from '../../../src/database/tables.ts';

export const PASSWORD = 'correct horse battery';
export const NOW = Date.parse('2026-11-22T15:00:00Z');

export interface Seeded {
  readonly auth: Auth;
  readonly tenantId: string;
  readonly otherTenantId: string;
  readonly adminId: string;
  readonly otherAdminId: string;
  readonly clientId: string;
  readonly otherClientId: string;
  readonly operatorId: string;
  readonly moduleId: string;
  readonly versionId: string;
  readonly installationId: string;
  readonly otherInstallationId: string;
  /** Of a payment module, with two sets of settings. */
  readonly paymentInstallationId: string;
  readonly instanceId: string;
  readonly otherInstanceId: string;
  readonly productId: string;
  readonly serviceId: string;
  readonly otherServiceId: string;
  readonly taskId: string;
}

const DECLARATION = {
  methods: ['create', 'createJob'],
  own_methods: ['createJob', 'getServicePage'],
  controllers: { ServerController: ['index', 'show', 'reboot', 'list'] },
  permissions: [{ name: 'See servers', key: 'view-servers', description: 'The list of servers.' }],
  sidebar: [
    { title: 'Servers', link: 'servers', active_links: ['servers', 'server'], icon: 'fas fa-server' },
  ],
  web_routes: [
    {
      method: 'get',
      uri: 'servers',
      permission: 'view-servers',
      name: 'servers',
      controller: 'ServerController@index',
    },
    {
      method: 'get',
      uri: 'servers/{uuid}',
      permission: 'view-servers',
      name: 'server',
      controller: 'ServerController@show',
    },
    {
      method: 'post',
      uri: 'servers/{uuid}/reboot',
      permission: 'view-servers',
      name: 'reboot',
      controller: 'ServerController@reboot',
    },
  ],
  api_routes: [
    {
      method: 'get',
      uri: 'api/list',
      permission: 'view-servers',
      name: 'list',
      controller: 'ServerController@list',
    },
  ],
  tabs: [
    { key: 'general', name: 'Overview', template: 'client_area.general' },
    { key: 'console', name: 'Console', template: 'client_area.console' },
  ],
  product_fields: [],
  service_fields: [],
  warnings: [],
};

async function module(
  db: Kysely<Tables>,
  name: string,
  type: string,
  title: string,
  icon: string,
  description: string,
) {
  const sha256 = createHash('sha256').update(name).digest('hex');
  await db
    .insertInto('packages')
    .values({ sha256, bytes: Buffer.from(name), size_bytes: 48_213 })
    .execute();
  const { id } = await db
    .insertInto('modules')
    .values({ publisher: 'acme-labs', type, name })
    .returning('id')
    .executeTakeFirstOrThrow();
  const manifest = {
    name,
    type,
    title,
    description,
    icon,
    version: '1.2.0',
    permissions: { http: { hosts: ['api.digitalocean.com'] } },
  };
  const declaration =
    type === 'Product'
      ? DECLARATION
      : { ...DECLARATION, sidebar: [], web_routes: [], tabs: [], permissions: [], own_methods: [] };
  const version = await db
    .insertInto('module_versions')
    .values({ module_id: id, version: '1.2.0', package_sha256: sha256, manifest, declaration })
    .returning('id')
    .executeTakeFirstOrThrow();
  return { moduleId: id, versionId: version.id };
}

/** Two tenants, their people, modules, a product, services, tasks, calls and logs. */
export async function seed(db: Kysely<Tables>, now: () => number): Promise<Seeded> {
  const auth = createAuth(db, now, createKeyring([randomBytes(MASTER_KEY_BYTES)]));
  const tenantOf = (slug: string, name: string) =>
    db
      .insertInto('tenants')
      .values({ slug, name, currency: 'EUR', timezone: 'Europe/Warsaw' })
      .returning('id')
      .executeTakeFirstOrThrow();
  const tenant = await tenantOf('acme', 'Acme Hosting');
  const other = await tenantOf('globex', 'Globex');
  const roleOf = (tenantId: string, name: string, permissions: string[]) =>
    db
      .insertInto('roles')
      .values({ tenant_id: tenantId, name, permissions })
      .returning('id')
      .executeTakeFirstOrThrow();
  const owner = await roleOf(tenant.id, 'Owner', ['*']);
  await roleOf(tenant.id, 'Support', ['services.view', 'tasks.view', 'logs.view']);
  const otherOwner = await roleOf(other.id, 'Owner', ['*']);
  const account = { password: PASSWORD };
  const [operator, admin, otherAdmin, client, otherClient] = await Promise.all([
    auth.createAccount({
      ...account,
      kind: 'operator',
      tenantId: null,
      email: 'root@panel.test',
      name: 'Oda Operator',
    }),
    auth.createAccount({
      ...account,
      kind: 'admin',
      tenantId: tenant.id,
      roleId: owner.id,
      email: 'olga@acme.test',
      name: 'Olga Admin',
    }),
    auth.createAccount({
      ...account,
      kind: 'admin',
      tenantId: other.id,
      roleId: otherOwner.id,
      email: 'hank@globex.test',
      name: 'Hank Admin',
    }),
    auth.createAccount({
      ...account,
      kind: 'client',
      tenantId: tenant.id,
      email: 'carl@client.test',
      name: 'Carl Client',
    }),
    auth.createAccount({
      ...account,
      kind: 'client',
      tenantId: tenant.id,
      email: 'dora@client.test',
      name: 'Dora Dent',
    }),
  ]);
  await db
    .insertInto('publishers')
    .values({
      name: 'acme-labs',
      public_key: 'key',
      fingerprint: 'SHA256:9f:31:0c:7e:aa:58:12:bd:44:70:6e:1b',
    })
    .execute();
  const vps = await module(
    db,
    'VPSHosting',
    'Product',
    'VPS hosting',
    'fas fa-server',
    'Sells virtual servers of a cloud provider: create, resize, snapshots, console.',
  );
  const monitoring = await module(
    db,
    'ServerMonitoring',
    'Plugin',
    'Server monitoring',
    'fas fa-heart-pulse',
    'Checks sites and servers on a schedule and tells you when they are down.',
  );
  const slack = await module(
    db,
    'SlackNotification',
    'Plugin',
    'Slack',
    'fas fa-bell',
    'Sends notifications to a Slack channel.',
  );
  const install = (
    tenantId: string,
    of: { moduleId: string; versionId: string },
    status: 'active' | 'restricted' | 'inactive',
  ) =>
    db
      .insertInto('installations')
      .values({ tenant_id: tenantId, module_id: of.moduleId, version_id: of.versionId, status })
      .returning('id')
      .executeTakeFirstOrThrow();
  const installation = await install(tenant.id, vps, 'active');
  const second = await install(tenant.id, monitoring, 'restricted');
  const third = await install(tenant.id, slack, 'inactive');
  await db
    .updateTable('installations')
    .set({ paused_at: new Date(now() - 3_600_000), paused_reason: '12 errors within one minute.' })
    .where('id', '=', third.id)
    .execute();
  const otherInstallation = await install(other.id, vps, 'active');
  const gateway = await module(
    db,
    'Stripe',
    'Payment',
    'Stripe',
    'fab fa-stripe-s',
    'Takes card payments on Stripe’s own page.',
  );
  const payment = await install(tenant.id, gateway, 'active');
  const otherPayment = await install(other.id, gateway, 'active');
  const instanceOf = (tenantId: string, installationId: string, name: string, active: boolean) =>
    db
      .insertInto('instances')
      .values({ tenant_id: tenantId, installation_id: installationId, name, active })
      .returning('id')
      .executeTakeFirstOrThrow();
  const instance = await instanceOf(tenant.id, payment.id, 'Cards, EUR', true);
  await instanceOf(tenant.id, payment.id, 'Cards, USD', false);
  const otherInstance = await instanceOf(other.id, otherPayment.id, 'Cards', true);
  const product = await db
    .insertInto('products')
    .values({
      tenant_id: tenant.id,
      installation_id: installation.id,
      name: 'VPS S',
      description: '1 CPU, 1 GB memory, 25 GB disk.',
      data: { region: 'fra1' },
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  await db
    .insertInto('products')
    .values({
      tenant_id: tenant.id,
      installation_id: installation.id,
      name: 'VPS M',
      description: '2 CPU, 4 GB memory, 80 GB disk.',
      data: {},
    })
    .execute();
  await db
    .insertInto('prices')
    .values([
      { product_id: product.id, period: 'monthly', amount_minor: 1_250, setup_minor: 500 },
      { product_id: product.id, period: 'annually', amount_minor: 12_500 },
    ])
    .execute();
  const serviceOf = (
    clientId: string,
    name: string,
    status: 'active' | 'suspended' | 'pending',
    provision: 'completed' | 'processing' | 'suspended',
  ) =>
    db
      .insertInto('services')
      .values({
        tenant_id: tenant.id,
        client_id: clientId,
        product_id: product.id,
        installation_id: installation.id,
        name,
        status,
        provision_status: provision,
        data: { hostname: 'web-1', image: 'debian-13' },
        provision_data: { server_id: '98211734', ip: '203.0.113.7' },
        period: 'monthly',
        amount_minor: 1_250,
        currency: 'EUR',
        activated_at: new Date(now() - 86_400_000),
      })
      .returning('id')
      .executeTakeFirstOrThrow();
  const service = await serviceOf(client.id, 'VPS S #1042', 'active', 'completed');
  const otherService = await serviceOf(otherClient.id, 'VPS S #1043', 'suspended', 'suspended');
  await serviceOf(client.id, 'VPS S #1044', 'pending', 'processing');
  const taskId = await history(db, {
    tenantId: tenant.id,
    installationId: installation.id,
    serviceId: service.id,
    nowMs: now(),
  });
  await usage(db, [installation.id, second.id, third.id], now());
  return {
    auth,
    tenantId: tenant.id,
    otherTenantId: other.id,
    adminId: admin.id,
    otherAdminId: otherAdmin.id,
    clientId: client.id,
    otherClientId: otherClient.id,
    operatorId: operator.id,
    ...vps,
    installationId: installation.id,
    otherInstallationId: otherInstallation.id,
    paymentInstallationId: payment.id,
    instanceId: instance.id,
    otherInstanceId: otherInstance.id,
    productId: product.id,
    serviceId: service.id,
    otherServiceId: otherService.id,
    taskId,
  };
}

interface Scope {
  readonly tenantId: string;
  readonly installationId: string;
  readonly serviceId: string;
  readonly nowMs: number;
}

async function history(db: Kysely<Tables>, scope: Scope): Promise<string> {
  const at = (secondsAgo: number) => new Date(scope.nowMs - secondsAgo * 1_000);
  const ids = {
    tenant_id: scope.tenantId,
    installation_id: scope.installationId,
    service_id: scope.serviceId,
  };
  await db
    .insertInto('service_changes')
    .values([
      {
        service_id: scope.serviceId,
        field: 'provision_status',
        old_value: 'pending',
        new_value: 'processing',
        actor: 'client',
        at: at(400),
      },
      {
        service_id: scope.serviceId,
        field: 'provision_status',
        old_value: 'processing',
        new_value: 'completed',
        actor: 'statusCheckJob',
        at: at(310),
      },
      {
        service_id: scope.serviceId,
        field: 'status',
        old_value: 'pending',
        new_value: 'active',
        actor: 'host',
        at: at(310),
      },
    ])
    .execute();
  const task = await db
    .insertInto('tasks')
    .values({
      ...ids,
      method: 'createJob',
      tags: ['create', `service:${scope.serviceId}`],
      tries: 3,
      status: 'completed',
      attempts: 2,
      dedupe_key: 'a',
      cpu_us: 18_400,
      created_at: at(400),
      started_at: at(399),
      finished_at: at(330),
      result: { status: 'success', server_id: '98211734' },
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  await db
    .insertInto('task_attempts')
    .values([
      {
        task_id: task.id,
        number: 1,
        outcome: 'error',
        error: { code: 'HTTP_FAILED', message: 'api.digitalocean.com closed the connection.' },
        started_at: at(399),
        ended_at: at(395),
        cpu_us: 6_100,
        wall_ms: 3_912,
      },
      {
        task_id: task.id,
        number: 2,
        outcome: 'completed',
        started_at: at(340),
        ended_at: at(330),
        cpu_us: 12_300,
        wall_ms: 9_870,
      },
    ])
    .execute();
  const failed = await db
    .insertInto('tasks')
    .values({
      ...ids,
      method: 'snapshotJob',
      tags: ['snapshot'],
      tries: 1,
      status: 'failed',
      attempts: 1,
      dedupe_key: 'b',
      cpu_us: 2_100,
      created_at: at(60),
      error: {
        code: 'STEP_IN_DOUBT',
        message: 'A request was sent in step "snapshot" and its answer was never recorded.',
      },
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  await db
    .insertInto('steps')
    .values([
      { task_id: failed.id, name: 'power-off', idempotency_key: 'k-1', status: 'done' },
      { task_id: failed.id, name: 'snapshot', idempotency_key: 'k-2', status: 'in_doubt' },
    ])
    .execute();
  await db
    .insertInto('tasks')
    .values({
      ...ids,
      method: 'statusCheckJob',
      status: 'processing',
      attempts: 1,
      dedupe_key: 'c',
      progress_percent: 40,
      progress_note: 'waiting for the address',
      created_at: at(8),
    })
    .execute();
  await db
    .insertInto('calls')
    .values([
      {
        installation_id: scope.installationId,
        service_id: scope.serviceId,
        task_id: task.id,
        op: 'http.request',
        target: 'POST api.digitalocean.com/v2/droplets',
        error_code: 'HTTP_FAILED',
        duration_ms: 3_801,
        at: at(395.5),
      },
      {
        installation_id: scope.installationId,
        service_id: scope.serviceId,
        task_id: task.id,
        op: 'http.request',
        target: 'POST api.digitalocean.com/v2/droplets',
        status: 202,
        duration_ms: 184,
        at: at(339),
      },
      {
        installation_id: scope.installationId,
        service_id: scope.serviceId,
        task_id: task.id,
        op: 'http.request',
        target: 'GET api.digitalocean.com/v2/droplets/98211734',
        status: 200,
        duration_ms: 61,
        at: at(331),
      },
    ])
    .execute();
  const log = {
    tenant_id: scope.tenantId,
    installation_id: scope.installationId,
    service_id: scope.serviceId,
    task_id: task.id,
  };
  await db
    .insertInto('logs')
    .values([
      {
        ...log,
        level: 'info',
        action: 'Creating droplet',
        request: { name: 'web-1', size: 's-1vcpu-1gb' },
        response: { id: 98211734 },
        at: at(338),
      },
      { ...log, level: 'error', action: '<script>alert(1)</script>', request: 'plain text', at: at(394) },
      {
        ...log,
        level: 'warning',
        action: 'Refused: http: host evil.test is not granted; add it to permissions.http.hosts',
        source: 'host',
        at: at(200),
      },
    ])
    .execute();
  return task.id;
}

async function usage(db: Kysely<Tables>, installations: readonly string[], nowMs: number): Promise<void> {
  const rows = installations.flatMap((installation_id, index) =>
    Array.from({ length: 48 }, (_, bucket) => ({
      installation_id,
      minute: new Date(Math.floor(nowMs / 60_000) * 60_000 - bucket * 5 * 60_000),
      invocations: 40 + index * 7 + (bucket % 9),
      errors: bucket % 16 === 0 ? 1 : 0,
      cpu_us: Math.round((Math.sin(bucket / (5 + index)) + 1.4) * 120_000 * (index === 0 ? 1 : 0.4)),
      wall_ms: 900,
    })),
  );
  await db.insertInto('usage_minutes').values(rows).execute();
}
