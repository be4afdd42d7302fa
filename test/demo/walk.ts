/** What the demo does, in the words of its steps: the panel's use cases as the admin and the client call them, and reads of what came of it. */
import { sql } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Answer } from '../../sandbox/contract/grant.ts';
import type { ServiceAction } from '../../sandbox/contract/kinds/product.ts';
import type { Demo } from '../../src/cli/demo/start.ts';
import { DEMO_PUBLISHER } from '../../src/cli/demo/seed.ts';
import type { FakeCloudControl } from '../../src/fakecloud/control-client.ts';
import { packModule } from '../../src/store/package/pack.ts';
import { signPackage } from '../../src/store/package/sign.ts';
import type { WebDeps } from '../../src/web/deps.ts';
import { expect, until } from './steps.ts';

const MONTHLY = [{ period: 'monthly', setupMinor: 0, amountMinor: 500 }];

export class Walk {
  readonly #demo: Demo;
  readonly #panel: WebDeps;
  readonly #tenantId: string;
  readonly #accountId: string;
  readonly #clientId: string;

  private constructor(demo: Demo, ids: { tenantId: string; accountId: string; clientId: string }) {
    this.#demo = demo;
    this.#panel = demo.server.bulkhead.panel;
    this.#tenantId = ids.tenantId;
    this.#accountId = ids.accountId;
    this.#clientId = ids.clientId;
  }

  static async open(demo: Demo, slug = 'acme'): Promise<Walk> {
    const { db } = demo.server.bulkhead.panel;
    const tenant = await db
      .selectFrom('tenants')
      .select('id')
      .where('slug', '=', slug)
      .executeTakeFirstOrThrow();
    const account = async (kind: 'admin' | 'client'): Promise<string> =>
      (
        await db
          .selectFrom('accounts')
          .select('id')
          .where('tenant_id', '=', tenant.id)
          .where('kind', '=', kind)
          .executeTakeFirstOrThrow()
      ).id;
    return new Walk(demo, {
      tenantId: tenant.id,
      accountId: await account('admin'),
      clientId: await account('client'),
    });
  }

  /** The text of the refusal. */
  async refusal(work: () => Promise<unknown>): Promise<string> {
    try {
      await work();
    } catch (error) {
      if (error instanceof HostError) return `${error.code}: ${error.message}`;
      throw error;
    }
    throw new Error('it was not refused');
  }

  async #installation(name: string): Promise<string> {
    const row = await this.#panel.db
      .selectFrom('installations as installation')
      .innerJoin('modules as module', 'module.id', 'installation.module_id')
      .select('installation.id')
      .where('installation.tenant_id', '=', this.#tenantId)
      .where('module.name', '=', name)
      .executeTakeFirstOrThrow();
    return row.id;
  }

  async install(name: string): Promise<string> {
    const entry = (await this.#panel.catalog.search(name)).find((found) => found.name === name);
    if (entry === undefined) throw new Error(`${name} is not in the store`);
    await this.#panel.catalog.install({
      tenantId: this.#tenantId,
      versionId: entry.versionId,
      accountId: this.#accountId,
    });
    return `${entry.title} ${entry.version} by ${entry.publisher}`;
  }

  async consentText(name: string): Promise<string[]> {
    const { lines } = await this.#panel.catalog.consent(await this.#installation(name));
    return lines.map(
      (line) =>
        `${line.optional ? '(optional) ' : ''}${line.text}${line.reason === '' ? '' : ` — ${line.reason}`}`,
    );
  }

  async grant(
    name: string,
    how: { without?: readonly string[]; amounts?: Readonly<Record<string, number>> } = {},
  ): Promise<void> {
    const installationId = await this.#installation(name);
    const { lines } = await this.#panel.catalog.consent(installationId);
    const answers = Object.fromEntries(
      lines.map((line): [string, Answer] => {
        const amount = how.amounts?.[line.id];
        if (how.without?.includes(line.id) === true) return [line.id, { granted: false }];
        return [line.id, amount === undefined ? { granted: true } : { granted: true, amount }];
      }),
    );
    await this.#panel.catalog.grant({ installationId, answers, accountId: this.#accountId });
  }

  async enable(name: string): Promise<void> {
    await this.#panel.catalog.enable(await this.#installation(name), this.#accountId);
  }

  async disable(name: string): Promise<void> {
    await this.#panel.catalog.disable(await this.#installation(name), this.#accountId);
  }

  async saveSettings(name: string, values: Readonly<Record<string, unknown>>): Promise<void> {
    const answer = await this.#panel.catalog.saveSettings({
      installationId: await this.#installation(name),
      values,
      accountId: this.#accountId,
    });
    expect(answer.ok, `settings were refused: ${JSON.stringify(answer)}`);
  }

  /** Tables of the installation's schema, as the modules' database has them. */
  async tables(name: string): Promise<string[]> {
    const { schema_name: schema } = await this.#panel.db
      .selectFrom('installations')
      .select('schema_name')
      .where('id', '=', await this.#installation(name))
      .executeTakeFirstOrThrow();
    const rows = await this.#demo.server.bulkhead.databases.modules.sql<{ name: string; owner: string }[]>`
      select c.relname as name, r.rolname as owner from pg_class c join pg_roles r on r.oid = c.relowner
      where c.relnamespace = ${schema ?? ''}::regnamespace and c.relkind = 'r' order by 1`;
    return rows.map((row) => `${schema}.${row.name} (owner ${row.owner})`);
  }

  async saveProduct(name: string, product: { name: string; data: Readonly<Record<string, unknown>> }) {
    return this.#panel.catalog.saveProduct({
      tenantId: this.#tenantId,
      installationId: await this.#installation(name),
      productId: null,
      description: '',
      active: true,
      prices: MONTHLY,
      accountId: this.#accountId,
      ...product,
    });
  }

  async product(module: string, name: string, data: Readonly<Record<string, unknown>>): Promise<string> {
    const saved = await this.saveProduct(module, { name, data });
    if (!saved.ok) throw new Error(JSON.stringify(saved));
    return saved.productId;
  }

  async order(productId: string, data: Readonly<Record<string, unknown>>): Promise<string> {
    const ordered = await this.#panel.billing.order({
      clientId: this.#clientId,
      productId,
      period: 'monthly',
      data,
      accountId: this.#clientId,
    });
    if (!ordered.ok) throw new Error(JSON.stringify(ordered));
    return ordered.serviceId;
  }

  async service(serviceId: string) {
    return this.#panel.db
      .selectFrom('services')
      .selectAll()
      .where('id', '=', serviceId)
      .executeTakeFirstOrThrow();
  }

  async firstService(): Promise<string> {
    return (
      await this.#panel.db.selectFrom('services').select('id').orderBy('created_at').executeTakeFirstOrThrow()
    ).id;
  }

  /** Waits until the service has got there and none of its tasks is open. */
  async reached(serviceId: string, provision: string, status: string) {
    return until(`${provision}/${status}`, async () => {
      const service = await this.service(serviceId);
      if (service.provision_status === 'failed' && provision !== 'failed')
        throw new Error(await this.failure(serviceId));
      const open = await this.#panel.db
        .selectFrom('tasks')
        .select('id')
        .where('service_id', '=', serviceId)
        .where('status', 'in', ['queued', 'pending', 'processing'])
        .executeTakeFirst();
      return service.provision_status === provision && service.status === status && open === undefined
        ? service
        : undefined;
    });
  }

  async attempts(serviceId: string): Promise<number> {
    const rows = await this.#panel.db
      .selectFrom('task_attempts as attempt')
      .innerJoin('tasks as task', 'task.id', 'attempt.task_id')
      .select('attempt.id')
      .where('task.service_id', '=', serviceId)
      .execute();
    return rows.length;
  }

  async failure(serviceId: string): Promise<string> {
    const task = await this.#panel.db
      .selectFrom('tasks')
      .selectAll()
      .where('service_id', '=', serviceId)
      .where('error', 'is not', null)
      .orderBy('created_at', 'desc')
      .executeTakeFirst();
    return task === undefined
      ? 'no task failed'
      : `${task.method}: ${(task.error as { code: string }).code}: ${(task.error as { message: string }).message}`;
  }

  async action(serviceId: string, action: ServiceAction, productName?: string): Promise<void> {
    const product =
      productName === undefined
        ? undefined
        : await this.#panel.db
            .selectFrom('products')
            .select('id')
            .where('name', '=', productName)
            .executeTakeFirstOrThrow();
    await this.#panel.billing.serviceAction({
      serviceId,
      action,
      accountId: this.#accountId,
      ...(product === undefined ? {} : { productId: product.id }),
    });
  }

  /** Status changes, tasks with attempts and cost, log lines and HTTP calls of a service, in order. */
  async timeline(serviceId: string): Promise<string[]> {
    await this.#demo.server.bulkhead.recorder.flush();
    const rows = await sql<{ at: Date; text: string }>`
      select at, 'status   ' || field || ': ' || coalesce(old_value, '') || ' → ' || new_value || ' by ' || actor as text from service_changes where service_id = ${serviceId}
      union all
      select a.started_at, 'attempt  ' || t.method || ' #' || a.number || ': ' || coalesce(a.outcome, 'running') || ', ' || round(a.cpu_us / 1000.0, 1) || ' ms cpu, ' || a.wall_ms || ' ms'
        from task_attempts a join tasks t on t.id = a.task_id where t.service_id = ${serviceId}
      union all
      select at, 'log      ' || level || ' ' || action || ' ' || coalesce(request #>> '{}', '') from logs where service_id = ${serviceId}
      union all
      select at, 'http     ' || target || ' → ' || coalesce(status::text, error_code) || ', ' || duration_ms || ' ms' from calls where service_id = ${serviceId}
      order by 1`.execute(this.#panel.db);
    const lines = rows.rows.map((row) => row.text.slice(0, 160));
    for (const kind of ['status', 'attempt', 'log', 'http'])
      expect(
        lines.some((line) => line.startsWith(kind)),
        `the timeline has no ${kind} line`,
      );
    return lines;
  }

  async cloudEffects(kind: string): Promise<number> {
    return (await this.#demo.cloud.control.effects()).filter((effect) => effect.kind === kind).length;
  }

  async cloudSize(): Promise<string> {
    const [server] = await this.#demo.cloud.control.droplets();
    return JSON.stringify(server?.['size_slug'] ?? 'no server');
  }

  /** Everything a foreign tenant's admin and client try with Acme's ids is refused, over HTTP, with their own sessions. */
  async foreignTenant(serviceId: string): Promise<string[]> {
    const foreign = await Walk.open(this.#demo, 'globex');
    const { db, billing } = this.#panel;
    const count = async (table: 'installations' | 'products' | 'services'): Promise<number> =>
      (await db.selectFrom(table).select('id').where('tenant_id', '=', foreign.#tenantId).execute()).length;
    const own = [await count('installations'), await count('products'), await count('services')];
    expect(
      own.every((number) => number === 0),
      `Globex has ${own.join(', ')}`,
    );
    const product = await db
      .selectFrom('products')
      .select('id')
      .where('tenant_id', '=', this.#tenantId)
      .executeTakeFirstOrThrow();
    const ordering = await this.refusal(() =>
      billing.order({
        clientId: foreign.#clientId,
        productId: product.id,
        period: 'monthly',
        data: { hostname: 'x.example.com' },
        accountId: foreign.#clientId,
      }),
    );
    const page = await this.#asAdmin('globex', `/admin/services/${serviceId}`);
    expect(page.status === 404, `Globex got ${page.status} for Acme’s service`);
    return [`order: ${ordering}`, `GET Acme’s service as Globex’s admin: ${page.status}`];
  }

  /** A page with an admin's session, as a browser would ask for it. */
  async #asAdmin(slug: string, path: string): Promise<Response> {
    const tenant = this.#demo.state.tenants.find((candidate) => candidate.slug === slug);
    if (tenant === undefined) throw new Error(slug);
    const base = `${this.#demo.server.url}/t/${slug}`;
    const origin = new URL(base).origin;
    const body = new URLSearchParams({ email: tenant.admin.email, password: tenant.admin.password });
    const signedIn = await fetch(`${base}/admin/sign-in`, {
      method: 'POST',
      body,
      redirect: 'manual',
      headers: { origin, 'sec-fetch-site': 'same-origin' },
    });
    expect(signedIn.status === 302 || signedIn.status === 303, `sign-in answered ${signedIn.status}`);
    const cookie = signedIn.headers
      .getSetCookie()
      .map((header) => header.split(';')[0])
      .join('; ');
    return fetch(`${base}${path}`, { headers: { cookie }, redirect: 'manual' });
  }

  async pageAnswers(slug: string): Promise<boolean | undefined> {
    return (await this.#asAdmin(slug, '/admin')).status === 200 ? true : undefined;
  }

  async cloudFailure(control: FakeCloudControl): Promise<string> {
    const product = await this.#panel.db
      .selectFrom('products')
      .select('id')
      .where('name', '=', 'VPS S')
      .executeTakeFirstOrThrow();
    await control.addFault({
      match: { method: 'POST', path: '/v2/droplets' },
      kind: 'status',
      status: 500,
      times: 3,
    });
    const serviceId = await this.order(product.id, {
      hostname: 'second.example.com',
      image_id: 'ubuntu-20.04',
    });
    await this.reached(serviceId, 'failed', 'pending');
    const reason = await this.failure(serviceId);
    const attempts = await this.attempts(serviceId);
    expect(attempts === 3, `the job was tried ${attempts} times`);
    await control.clearFaults();
    const task = await this.#panel.db
      .selectFrom('tasks')
      .select('id')
      .where('service_id', '=', serviceId)
      .where('status', '=', 'failed')
      .executeTakeFirstOrThrow();
    await this.#panel.jobs.retry(task.id, this.#accountId);
    await until('the retried service', async () =>
      (await this.service(serviceId)).status === 'active' ? true : undefined,
    );
    return `${attempts} attempts, then ${reason}; active after Retry`;
  }

  async publishFixture(folder: string): Promise<void> {
    const bytes = await signPackage(await packModule(folder), {
      publisher: DEMO_PUBLISHER,
      privateKey: this.#demo.state.publisherKeyPem,
    });
    await this.#demo.server.bulkhead.publish(bytes, { status: 'published' });
    await this.install('Troublemaker');
    await this.grant('Troublemaker');
    await this.enable('Troublemaker');
  }

  /** Orders a service whose job misbehaves; meanwhile the other tenant's page is asked for. */
  async mischief(kind: string): Promise<string> {
    const productId = await this.product('Troublemaker', `Trouble: ${kind}`, { mischief: kind });
    const serviceId = await this.order(productId, {});
    const startedAt = performance.now();
    const answered = await this.pageAnswers('globex');
    const pageMs = performance.now() - startedAt;
    expect(answered === true, 'the other tenant’s page did not answer');
    const wanted = kind === 'flood' ? 'completed' : 'failed';
    await until(`${kind} to end`, async () =>
      (await this.service(serviceId)).provision_status === wanted ? true : undefined,
    );
    const outcome = kind === 'flood' ? 'the flood was cut, the job ended' : await this.failure(serviceId);
    return `${outcome}; Globex’s page meanwhile: ${pageMs.toFixed(0)} ms`;
  }
}
