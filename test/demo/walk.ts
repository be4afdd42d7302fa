/** What only the demo does with its two tenants and its fake cloud; what every test of the host does too is in test/support/tenant.ts. */
import type { Demo } from '../../src/cli/demo/start.ts';
import { DEMO_PUBLISHER } from '../../src/cli/demo/seed.ts';
import type { FakeCloudControl } from '../../src/fakecloud/control-client.ts';
import { openBrowser } from '../support/browser.ts';
import { packFolder } from '../support/modules.ts';
import { refusal, Tenant } from '../support/tenant.ts';
import { until } from '../support/until.ts';
import { expect } from './steps.ts';

export class Walk {
  readonly acme: Tenant;
  readonly #globex: Tenant;
  readonly #demo: Demo;

  private constructor(demo: Demo, acme: Tenant, globex: Tenant) {
    this.acme = acme;
    this.#globex = globex;
    this.#demo = demo;
  }

  static async open(demo: Demo): Promise<Walk> {
    const { bulkhead } = demo.server;
    return new Walk(demo, await Tenant.find(bulkhead, 'acme'), await Tenant.find(bulkhead, 'globex'));
  }

  /** A module's package as the demo's publisher signs it. */
  packed(folder: string): Promise<Uint8Array> {
    return packFolder(folder, {
      publisher: DEMO_PUBLISHER,
      privateKey: this.#demo.state.publisherKeyPem,
    });
  }

  async consentText(name: string): Promise<string[]> {
    const { lines } = await this.acme.consent(name);
    return lines.map(
      (line) =>
        `${line.optional ? '(optional) ' : ''}${line.text}${line.reason === '' ? '' : ` — ${line.reason}`}`,
    );
  }

  async tables(name: string): Promise<string[]> {
    const tables = await this.acme.tables(name);
    return tables.map(({ schema, table, owner }) => `${schema}.${table} (owner ${owner})`);
  }

  /** The service's timeline as its page shows it; it must tell of each sort of thing. */
  async timeline(serviceId: string): Promise<string[]> {
    const lines = (await this.acme.timeline(serviceId)).map((line) => line.slice(0, 160));
    for (const wanted of [
      /^Provisioning: /,
      /^createJob: attempt 1 completed/,
      /CPU/,
      /^POST .* · \d+ ms$/,
      /^createJob(?! queued|:)/,
    ])
      expect(
        lines.some((line) => wanted.test(line)),
        `the timeline has no line like ${wanted}`,
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

  /** Everything a foreign tenant's admin and client try with Acme's ids is refused. */
  async foreignTenant(serviceId: string): Promise<string[]> {
    const { db } = this.acme.panel;
    for (const table of ['installations', 'products', 'services'] as const) {
      const rows = await db.selectFrom(table).select('id').where('tenant_id', '=', this.#globex.id).execute();
      expect(rows.length === 0, `Globex has ${rows.length} ${table}`);
    }
    const productId = await this.acme.productNamed('VPS S');
    const ordering = await refusal(() => this.#globex.order(productId, { hostname: 'x.example.com' }));
    const page = await this.#asAdmin('globex', `/admin/services/${serviceId}`);
    expect(page.status === 404, `Globex got ${page.status} for Acme’s service`);
    return [`order: ${ordering}`, `GET Acme’s service as Globex’s admin: ${page.status}`];
  }

  /** A page with an admin's session, as a browser asks for it. */
  async #asAdmin(slug: string, path: string): Promise<Response> {
    const login = this.#demo.state.tenants.find((tenant) => tenant.slug === slug)?.admin;
    if (login === undefined) throw new Error(slug);
    const browser = openBrowser(this.#demo.server.url ?? '');
    const signedIn = await browser.signIn(`/t/${slug}/admin`, login);
    expect(signedIn.status === 303, `sign-in answered ${signedIn.status}`);
    return browser.get(`/t/${slug}${path}`);
  }

  async pageAnswers(slug: string): Promise<boolean | undefined> {
    return (await this.#asAdmin(slug, '/admin')).status === 200 ? true : undefined;
  }

  async cloudFailure(control: FakeCloudControl): Promise<string> {
    const { acme } = this;
    await control.addFault({
      match: { method: 'POST', path: '/v2/droplets' },
      kind: 'status',
      status: 500,
      times: 3,
    });
    const serviceId = await acme.order(await acme.productNamed('VPS S'), {
      hostname: 'second.example.com',
      image_id: 'ubuntu-20.04',
    });
    await acme.reached(serviceId, 'failed', 'pending');
    const reason = await acme.failure(serviceId);
    const { id, attempts } = await acme.ended(serviceId, 'createJob');
    expect(attempts === 3, `the job was tried ${attempts} times`);
    await control.clearFaults();
    await acme.panel.jobs.retry(id, acme.adminId);
    await until('the retried service', async () => (await acme.service(serviceId)).status === 'active');
    return `${attempts} attempts, then ${reason}; active after Retry`;
  }

  async publishFixture(folder: string): Promise<void> {
    await this.#demo.server.bulkhead.publish(await this.packed(folder), { status: 'published' });
    await this.acme.installed('Troublemaker');
  }

  /** Orders a service whose job misbehaves; meanwhile the other tenant's page is asked for. */
  async mischief(kind: string): Promise<string> {
    const { acme } = this;
    const productId = await acme.product('Troublemaker', `Trouble: ${kind}`, { mischief: kind });
    const serviceId = await acme.order(productId);
    const startedAt = performance.now();
    const answered = await this.pageAnswers('globex');
    const pageMs = performance.now() - startedAt;
    expect(answered === true, 'the other tenant’s page did not answer');
    const wanted = kind === 'flood' ? 'completed' : 'failed';
    await until(`${kind} to end`, async () => (await acme.service(serviceId)).provision_status === wanted);
    const outcome = kind === 'flood' ? 'the flood was cut, the job ended' : await acme.failure(serviceId);
    return `${outcome}; Globex’s page meanwhile: ${pageMs.toFixed(0)} ms`;
  }
}
