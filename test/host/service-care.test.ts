/** What a Product offers beside the lifecycle: buttons, passwords, signing on, usage, comparisons, tests. Each with who may not. */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { CARE_LIMITS } from '../../src/care/limits.ts';
import type { CareCaller } from '../../src/care/care.ts';
import { PASSWORD, useTestHost } from '../support/host.ts';
import { refusal, type Tenant, type Values } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });
const NAME = 'Caring';
const MEMBERS = `
  saveServiceData(data) { return { status: 'success', data }; }
  createJob() { return { status: 'success' }; }
  suspendJob() { return { status: 'success' }; }
  unsuspendJob() { return { status: 'success' }; }
  terminationJob() { return { status: 'success' }; }
  change_packageJob() { return { status: 'success' }; }
  adminPermissions() { return [{ name: 'Reboot', key: 'reboot', description: '' }]; }
  adminButtons() {
    return [
      { key: 'rebuild', title: 'Rebuild', icon: 'fas fa-rotate', confirm: 'Really?' },
      { key: 'reboot', title: 'Reboot', permission: 'reboot' },
    ];
  }
  clientButtons() { return [{ key: 'restart', title: 'Restart' }, { key: 'broken', title: 'Broken' }]; }
  clientActions() { return ['changePassword', 'singleSignOn']; }
  adminButton_rebuild() { return { status: 'success', message: 'Rebuilt for ' + this.auth.kind + '.' }; }
  adminButton_reboot() { return { status: 'error', message: 'It is off.' }; }
  adminButton_hidden() { return { status: 'success' }; }
  clientButton_restart() { return { status: 'success', message: 'Restarted ' + this.product_data.plan }; }
  clientButton_broken() { throw new Error('inner life of the server'); }
  changePassword(request) {
    this.logInfo('setting', { given: request.password, text: 'now ' + request.password });
    if (request.password === 'refused-password') throw new Error('no: refused-password');
    const password = request.password ?? 'made-for-you-1';
    return { status: 'success', message: 'It is ' + password, data: { password } };
  }
  singleSignOn(who) {
    if (this.product_data.sso === 'refuse') return { status: 'error', message: 'Not for you.' };
    return { url: (this.product_data.sso ?? 'https://login.example') + '/?as=' + who.kind };
  }
  usageUpdate() {
    if (this.product_data.usage === 'fails') return { status: 'error', message: 'Meter is off.' };
    if (this.product_data.usage === 'odd') return { disk: { value: -1 } };
    return { disk: { value: 30, limit: 40, unit: 'GB' }, visits: { value: 12345.678, title: 'Visits' } };
  }
  reconcile() {
    return this.product_data.report ?? {
      status: 'different',
      differences: [{ field: 'plan', local: 'small', remote: 'large', mended: true }, { field: 'password', local: 'abc', remote: 'def' }],
    };
  }
  testConnection() {
    if (this.product_data.plan === 'far') throw new Error('connect ECONNREFUSED');
    return { status: 'success', message: 'Answered as ' + (this.product_data.plan ?? 'nobody') };
  }
`;
const manifest = {
  permissions: { tasks: { concurrency: 4, per_minute: 1_000 }, redirect: { hosts: ['login.example'] } },
};

beforeAll(async () => {
  await host().publish({ name: NAME, members: MEMBERS, manifest });
  await host().a.installed(NAME);
  await host().b.installed(NAME);
});

const care = () => host().bulkhead.panel.care;
const admin = (tenant: Tenant, permissions: readonly string[] = ['*']): CareCaller => ({
  id: tenant.adminId,
  kind: 'admin',
  permissions,
});
const client = (tenant: Tenant): CareCaller => ({ id: tenant.clientId, kind: 'client', permissions: [] });

async function ordered(data: Values = {}): Promise<string> {
  const { a } = host();
  const id = await a.order(
    await a.product(NAME, `Care ${randomBytes(4).toString('hex')}`, { plan: 'small', ...data }),
  );
  await a.reached(id, 'completed', 'active');
  return id;
}

const by = (serviceId: string, account: CareCaller, tenant: Tenant = host().a) => ({
  tenantId: tenant.id,
  serviceId,
  account,
});

async function rows(serviceId: string) {
  return host()
    .a.panel.db.selectFrom('module_actions')
    .selectAll()
    .where('service_id', '=', serviceId)
    .orderBy('at')
    .execute();
}

async function careRow(serviceId: string) {
  return host()
    .a.panel.db.selectFrom('service_care')
    .selectAll()
    .where('service_id', '=', serviceId)
    .executeTakeFirst();
}

/** What the worker does by the clock, now, until nobody is due; of the worker's own round this one waits for what is taken already. */
async function rounds(serviceId: string): Promise<void> {
  while ((await round()) > 0);
  await until('both answers', async () => {
    const row = await careRow(serviceId);
    return (row?.usage_at ?? row?.usage_error) != null && (row?.report_at ?? row?.report_error) != null;
  });
}

async function round(): Promise<number> {
  return host().bulkhead.careRound();
}

describe('a button', () => {
  it('does what the module says, for staff and for the client, and stands in the timeline', async () => {
    const { a } = host();
    const id = await ordered();
    const done = await care().press({ ...by(id, admin(a)), button: 'rebuild' });
    expect(done).toMatchObject({ ok: true, message: 'Rebuilt for admin.' });
    expect(await care().press({ ...by(id, client(a)), button: 'restart' })).toMatchObject({
      ok: true,
      message: 'Restarted small',
    });
    expect(await a.timeline(id)).toContainEqual(
      expect.stringMatching(/^Button “Rebuild” · \d+ ms · by Admin · Rebuilt for admin\.$/),
    );
    const { actionId } = done;
    const said = { tenantId: a.id, actionId, accountId: a.adminId };
    expect(await care().said(said)).toMatchObject({ ok: true, title: 'Rebuild' });
    expect(await care().said({ ...said, accountId: a.clientId })).toBeUndefined();
    expect(await care().said({ ...said, tenantId: host().b.id })).toBeUndefined();
  });

  it('that is refused or fails says so: to staff why, to a client no word of the inner life', async () => {
    const { a } = host();
    const id = await ordered();
    expect(await care().press({ ...by(id, admin(a)), button: 'reboot' })).toMatchObject({
      ok: false,
      message: 'It is off.',
    });
    const broken = await care().press({ ...by(id, client(a)), button: 'broken' });
    expect(broken).toMatchObject({
      ok: false,
      message: 'This did not work. Please try again later, or contact us.',
    });
    expect((await rows(id)).map(({ ok, actor }) => [ok, actor])).toEqual([
      [false, 'admin'],
      [false, 'client'],
    ]);
  });

  it.each([
    ['hidden', 'a method that no button declares'],
    ['createJob', 'another method of the module'],
    ['restart', 'a button of the clients'],
    ['__proto__', 'what every object has'],
  ])('named %s (%s) is not pressed by staff', async (button) => {
    const { a } = host();
    const id = await ordered();
    expect(await refusal(() => care().press({ ...by(id, admin(a)), button }))).toMatch(/^NOT_FOUND/);
    expect(await rows(id)).toEqual([]);
  });

  it('of staff is not pressed by the client', async () => {
    const { a } = host();
    const id = await ordered();
    expect(await refusal(() => care().press({ ...by(id, client(a)), button: 'rebuild' }))).toMatch(
      /^NOT_FOUND/,
    );
  });

  it('needs the panel’s permission, and the module’s where it names one', async () => {
    const { a } = host();
    const id = await ordered();
    const viewer = admin(a, ['services.view']);
    const manager = admin(a, ['services.manage']);
    expect(await refusal(() => care().press({ ...by(id, viewer), button: 'rebuild' }))).toMatch(
      /^NOT_GRANTED/,
    );
    expect(await refusal(() => care().press({ ...by(id, manager), button: 'reboot' }))).toMatch(
      /^NOT_GRANTED.*reboot/,
    );
    expect((await care().view(by(id, manager))).buttons.map(({ key }) => key)).toEqual(['rebuild']);
    expect((await care().view(by(id, viewer))).buttons).toEqual([]);
    const holder = admin(a, ['services.manage', `Product-${NAME}-reboot`]);
    expect(await care().press({ ...by(id, holder), button: 'reboot' })).toMatchObject({ ok: false });
  });

  it('is nobody else’s: another tenant’s staff, another client', async () => {
    const { a, b } = host();
    const id = await ordered();
    const press = { button: 'restart' };
    expect(await refusal(() => care().press({ ...by(id, admin(b), b), button: 'rebuild' }))).toMatch(
      /^NOT_FOUND/,
    );
    expect(await refusal(() => care().press({ ...by(id, client(b), b), ...press }))).toMatch(/^NOT_FOUND/);
    const { id: other } = await a.panel.auth.createAccount({
      kind: 'client',
      tenantId: a.id,
      name: 'Other',
      email: `${randomBytes(4).toString('hex')}@other.example`,
      password: PASSWORD,
    });
    const stranger = { id: other, kind: 'client', permissions: [] } as const;
    for (const ask of [
      () => care().press({ ...by(id, stranger), ...press }),
      () => care().view(by(id, stranger)),
      () => care().changePassword({ ...by(id, stranger), password: null }),
      () => care().signOn(by(id, stranger)),
    ])
      expect(await refusal(ask)).toMatch(/^NOT_FOUND/);
  });

  it('is not pressed by the client of a suspended service', async () => {
    const { a } = host();
    const id = await ordered();
    await a.action(id, 'suspend');
    await a.reached(id, 'suspended', 'suspended');
    expect(await refusal(() => care().press({ ...by(id, client(a)), button: 'restart' }))).toMatch(
      /^CONFLICT/,
    );
    expect((await care().view(by(id, client(a)))).buttons).toEqual([]);
  });

  it('is not pressed without end', async () => {
    const { a } = host();
    const id = await ordered();
    for (let pressed = 0; pressed < CARE_LIMITS.actionsAMinute; pressed++)
      await care().press({ ...by(id, client(a)), button: 'restart' });
    expect(await refusal(() => care().press({ ...by(id, client(a)), button: 'restart' }))).toMatch(/^LIMIT/);
  });
});

describe('a button that nobody could use', () => {
  it.each([
    [`adminButtons() { return [{ key: 'x', title: 'X' }]; }`, /there is no method adminButton_x\(\)/],
    [
      `adminButtons() { return [{ key: 'x', title: 'X', permission: 'no' }]; } adminButton_x() {}`,
      /permission "no" is not in adminPermissions/,
    ],
    [
      `clientButtons() { return [{ key: 'x', title: 'X', permission: 'no' }]; } clientButton_x() {}`,
      /clients have no permissions/,
    ],
    [
      `adminButtons() { return [{ key: 'x', title: 'X' }, { key: 'x', title: 'Y' }]; } adminButton_x() {}`,
      /each key may be used once/,
    ],
    [`clientActions() { return ['singleSignOn']; }`, /there is no method singleSignOn\(\)/],
    [
      `adminButtons() { return [{ key: 'x', title: 'X', icon: 'x" onclick="' }]; } adminButton_x() {}`,
      /an icon/,
    ],
  ])('is an error of its module: %s', async (members, message) => {
    expect(await refusal(async () => void (await host().publish({ name: 'Useless', members })))).toMatch(
      message,
    );
  });
});

describe('a new password', () => {
  it('is made by the module or typed, shown once, and kept nowhere', async () => {
    const { a } = host();
    const id = await ordered();
    expect(await care().changePassword({ ...by(id, admin(a)), password: null })).toMatchObject({
      ok: true,
      password: 'made-for-you-1',
      message: 'It is •••',
    });
    const typed = 'typed "by hand" 9';
    expect(await care().changePassword({ ...by(id, client(a)), password: typed })).toMatchObject({
      ok: true,
      password: typed,
      message: 'It is •••',
    });
    const refused = await care().changePassword({ ...by(id, admin(a)), password: 'refused-password' });
    expect(refused).toMatchObject({ ok: false, password: null });
    expect(refused.message).not.toContain('refused-password');
    const kept = JSON.stringify([
      await rows(id),
      await a.logs(NAME),
      await a.timeline(id),
      await a.service(id),
    ]);
    expect(kept).toContain('setting');
    for (const password of [typed, JSON.stringify(typed).slice(1, -1), 'refused-password'])
      expect(kept).not.toContain(password);
  });

  it.each(['short', 'x'.repeat(129), 'with\nline'])('like %j is asked for again', async (password) => {
    const { a } = host();
    const id = await ordered();
    expect(await refusal(() => care().changePassword({ ...by(id, admin(a)), password }))).toMatch(
      /^BAD_INPUT/,
    );
  });

  it('is staff’s alone where the module does not let clients', async () => {
    const { a } = host();
    const members = MEMBERS.replace("['changePassword', 'singleSignOn']", '[]');
    await host().publish({ name: 'Strict', members: members.replaceAll(NAME, 'Strict'), manifest });
    await a.installed('Strict');
    const id = await a.order(await a.product('Strict', 'Strict', { plan: 'small' }));
    await a.reached(id, 'completed', 'active');
    expect(await care().view(by(id, client(a)))).toMatchObject({ password: false, signOn: false });
    expect(await care().view(by(id, admin(a)))).toMatchObject({ password: true, signOn: true });
    expect(await refusal(() => care().changePassword({ ...by(id, client(a)), password: null }))).toMatch(
      /^NOT_FOUND/,
    );
    expect(await refusal(() => care().signOn(by(id, client(a))))).toMatch(/^NOT_FOUND/);
  });
});

describe('signing on', () => {
  it('gives who asks an address of a granted host', async () => {
    const { a } = host();
    const id = await ordered();
    expect(await care().signOn(by(id, admin(a)))).toEqual({ url: 'https://login.example/?as=admin' });
    expect(await care().signOn(by(id, client(a)))).toEqual({ url: 'https://login.example/?as=client' });
    expect(JSON.stringify(await rows(id))).not.toContain('login.example/?as');
  });

  it.each([
    'https://evil.example',
    'http://login.example',
    'https://login.example.evil.example',
    'https://login.example@evil.example',
    'javascript:alert(1)//login.example',
    '//login.example',
  ])('at %s is refused: it was not granted', async (sso) => {
    const { a } = host();
    const id = await ordered({ sso });
    expect(await refusal(() => care().signOn(by(id, admin(a))))).toMatch(
      /^NOT_GRANTED: redirect: .*add it to permissions\.redirect\.hosts/,
    );
    const told = await refusal(() => care().signOn(by(id, client(a))));
    expect(told).toMatch(/^NOT_GRANTED/);
    expect(told).not.toContain('evil');
    expect((await rows(id)).map(({ ok }) => ok)).toEqual([false, false]);
  });

  it('that the module refuses says why', async () => {
    const { a } = host();
    const id = await ordered({ sso: 'refuse' });
    expect(await refusal(() => care().signOn(by(id, client(a))))).toBe('MODULE_ERROR: Not for you.');
  });
});

describe('usage', () => {
  it('is asked of active services when it is due, once an hour, and shown to staff and client', async () => {
    const { a } = host();
    const id = await ordered();
    await rounds(id);
    for (const account of [admin(a), client(a)])
      expect(await care().view(by(id, account))).toMatchObject({
        usage: [
          { key: 'disk', value: 30, limit: 40, unit: 'GB', percent: 75 },
          { key: 'visits', value: 12345.678, limit: null, percent: null, title: 'Visits' },
        ],
        usageError: null,
      });
    const before = await careRow(id);
    const inMs = (before?.usage_due_at.getTime() ?? 0) - Date.now();
    expect(inMs).toBeGreaterThan(CARE_LIMITS.usageEveryMs - 60_000);
    await rounds(id);
    expect((await careRow(id))?.usage_at).toEqual(before?.usage_at);
  });

  it.each([
    ['fails', 'Meter is off.'],
    ['odd', 'usageUpdate(): disk.value'],
  ])('that %s keeps what was known, and tells staff why', async (usage, message) => {
    const { a } = host();
    const id = await ordered({ usage });
    await rounds(id);
    expect((await care().view(by(id, admin(a)))).usageError).toContain(message);
    expect(await care().view(by(id, client(a)))).toMatchObject({ usage: null, usageError: null });
    expect((await careRow(id))?.usage_due_at.getTime()).toBeGreaterThan(Date.now());
  });

  it('of one tenant with many services leaves places in the round for another', async () => {
    const { a, b } = host();
    const { db } = a.panel;
    const crowd = await ordered();
    const template = await a.service(crowd);
    const copies = Array.from({ length: CARE_LIMITS.servicesARound + 5 }, (_, n) => ({
      tenant_id: a.id,
      client_id: template.client_id,
      product_id: template.product_id,
      installation_id: template.installation_id,
      name: `Crowd ${n}`,
      status: 'active' as const,
      provision_status: 'completed' as const,
      period: 'one-time',
      amount_minor: 0,
      currency: 'USD',
    }));
    await db.insertInto('services').values(copies).execute();
    const other = await b.order(await b.product(NAME, 'Quiet', { plan: 'small' }));
    await b.reached(other, 'completed', 'active');
    await round();
    await until('the other’s', async () => (await careRow(other))?.usage_at != null);
    const { n } = await db
      .selectFrom('service_care')
      .innerJoin('services', 'services.id', 'service_care.service_id')
      .select((e) => e.fn.countAll<string>().as('n'))
      .where('services.name', 'like', 'Crowd %')
      .where('usage_at', 'is not', null)
      .executeTakeFirstOrThrow();
    expect(Number(n)).toBeLessThanOrEqual(2 * CARE_LIMITS.servicesOfATenantARound);
    await db.deleteFrom('services').where('name', 'like', 'Crowd %').execute();
  });
});

describe('a comparison with the remote account', () => {
  it('shows staff what differs, and no secret', async () => {
    const { a } = host();
    const id = await ordered();
    expect(await care().reconcile(by(id, admin(a)))).toMatchObject({ ok: true });
    expect((await care().view(by(id, admin(a)))).report).toEqual({
      status: 'different',
      differences: [
        { field: 'plan', local: 'small', remote: 'large', mended: true },
        { field: 'password', local: '•••', remote: '•••', mended: false },
      ],
    });
    expect((await care().view(by(id, client(a)))).report).toBeNull();
    expect(await refusal(() => care().reconcile(by(id, client(a))))).toMatch(/^NOT_FOUND/);
    expect(await refusal(() => care().reconcile(by(id, admin(a, ['services.view']))))).toMatch(
      /^NOT_GRANTED/,
    );
  });

  it('that misses the account offers not_found, from where it can be created again', async () => {
    const { a } = host();
    const id = await ordered({ report: { status: 'missing' } });
    const healthy = await ordered({ report: { status: 'in_sync' } });
    await care().reconcile(by(healthy, admin(a)));
    expect(await refusal(() => care().markNotFound(by(healthy, admin(a))))).toMatch(/^CONFLICT/);
    expect(await refusal(() => care().markNotFound(by(id, admin(a))))).toMatch(/^CONFLICT/);
    await care().reconcile(by(id, admin(a)));
    expect(await refusal(() => care().markNotFound(by(id, client(a))))).toMatch(/^NOT_FOUND/);
    await care().markNotFound(by(id, admin(a)));
    expect(await a.service(id)).toMatchObject({ provision_status: 'not_found', status: 'active' });
    await a.action(id, 'create');
    await a.reached(id, 'completed', 'active');
  });

  it('is made once a day by the clock, and told in the timeline where something differs', async () => {
    const id = await ordered();
    const healthy = await ordered({ report: { status: 'in_sync' } });
    await rounds(id);
    await rounds(healthy);
    expect((await rows(id)).map(({ action, actor, title }) => [action, actor, title])).toEqual([
      ['reconcile', 'host', 'different'],
    ]);
    expect(await rows(healthy)).toEqual([]);
    expect((await careRow(healthy))?.report).toMatchObject({ status: 'in_sync' });
    await rounds(id);
    expect(await rows(id)).toHaveLength(1);
  });

  it.each([
    [{ status: 'fine' }],
    [{ status: 'different', differences: [{ field: 'x', local: { deep: 1 } }] }],
    [7],
  ])('that answers %j is refused', async (report) => {
    const { a } = host();
    const id = await ordered({ report });
    expect(await care().reconcile(by(id, admin(a)))).toMatchObject({ ok: false });
    expect((await care().view(by(id, admin(a)))).report).toBeNull();
  });
});

describe('the test of a connection', () => {
  it('runs with the product’s data, and says how long it took', async () => {
    const { a } = host();
    const installationId = await a.installationId(NAME);
    const productId = await a.product(NAME, 'Tested', { plan: 'near' });
    const test = { tenantId: a.id, installationId, account: admin(a) };
    const done = await care().testConnection({ ...test, productId });
    expect(done).toMatchObject({ ok: true, message: 'Answered as near' });
    expect(await care().testConnection(test)).toMatchObject({ message: 'Answered as nobody' });
    const said = await care().said({ tenantId: a.id, actionId: done.actionId, accountId: a.adminId });
    expect(said?.durationMs).toBeGreaterThanOrEqual(0);
    const far = await a.product(NAME, 'Far', { plan: 'far' });
    const failed = await care().testConnection({ ...test, productId: far });
    expect(failed.ok).toBe(false);
    expect(failed.message).toContain('ECONNREFUSED');
  });

  it('is for this tenant’s staff, its own modules and their own products', async () => {
    const { a, b } = host();
    const installationId = await a.installationId(NAME);
    const test = { tenantId: a.id, installationId, account: admin(a) };
    const foreign = await b.product(NAME, 'Foreign', {});
    for (const [input, code] of [
      [{ ...test, tenantId: b.id, account: admin(b) }, /^NOT_FOUND/],
      [{ ...test, productId: foreign }, /^NOT_FOUND/],
      [{ ...test, account: client(a) }, /^NOT_FOUND/],
      [{ ...test, account: admin(a, ['modules.view']) }, /^NOT_GRANTED/],
    ] as const)
      expect(await refusal(() => care().testConnection(input))).toMatch(code);
  });
});
