/** Messages from their occasion to the sender's send(): rules, templates, retries, and what others must not see. */
import { describe, expect, test } from 'vitest';
import { tellEvent } from '../../src/notifications/notifications.ts';
import { resend } from '../../src/notifications/deliveries.ts';
import { sendTest } from '../../src/notifications/notifications.ts';
import { enqueueTask } from '../../src/jobs/queue.ts';
import { useTestHost } from '../support/host.ts';
import type { ModuleSource } from '../support/modules.ts';
import { refusal, type Tenant } from '../support/tenant.ts';
import { until } from '../support/until.ts';

const host = useTestHost({ worker: true });

/** Does what its settings say: 'ok', 'error', 'throw', 'loop' or a code. Keeps what it was given. */
const SENDER: ModuleSource = {
  name: 'Pigeon',
  type: 'Notification',
  manifest: {
    settings: [
      { key: 'mood', title: 'Mood', type: 'text' },
      { key: 'token', title: 'Token', type: 'secret' },
    ],
    permissions: {
      secrets: { token: { title: 'Token', hosts: [] } },
      mail: { per_hour: 5 },
      db: { tables: 1 },
    },
  },
  prelude: `import { id, string, timestamps } from 'bulkhead';`,
  members: `
    getModuleData(data) { return { ...data, mood: data.mood || 'ok' }; }
    async send(data) {
      const { mood } = this.module_data;
      this.logInfo('send', data);
      if (mood === 'loop') for (;;) {}
      if (mood === 'throw') throw new Error('the pigeon is tired, token ' + this.secret('token'));
      if (mood === 'echo') return { status: 'error', message: 'not with the-token-value', code: 500, retry: false };
      if (mood === 'mail') { await this.mail.send({ to: 'x@y.example', subject: 's', message: 'm' }); }
      if (/^\\d+$/.test(mood)) return { status: 'error', message: 'refused', code: Number(mood) };
      return mood === 'ok' ? { status: 'success' } : { status: 'error', message: 'error ' + mood, retry: false };
    }
  `,
};
const CHAT: ModuleSource = {
  name: 'Room',
  type: 'Notification',
  manifest: { config: { channel: 'chat' } },
  members: `send(data) { return { status: 'success' }; }`,
};
const ASKER: ModuleSource = {
  name: 'Asker',
  type: 'Plugin',
  manifest: {
    permissions: {
      mail: { per_hour: 3 },
      notify: { categories: ['staff_operational', 'client_operational'], per_hour: 4 },
    },
  },
  members: `
    async write(mail) { return (await this.mail.send(mail)).uuid; }
    async tell(message) { return this.notify(message); }
  `,
};

async function deliveries(tenant: Tenant) {
  return tenant.panel.db
    .selectFrom('deliveries')
    .selectAll()
    .where('tenant_id', '=', tenant.id)
    .orderBy('created_at')
    .execute();
}

async function ended(tenant: Tenant, id: string) {
  return until('it has happened', async () => {
    const row = (await deliveries(tenant)).find((delivery) => delivery.id === id);
    return row !== undefined && row.status !== 'queued' ? row : undefined;
  });
}

async function first<T>(items: Promise<readonly T[]> | readonly T[]): Promise<T> {
  const [item] = await items;
  if (item === undefined) throw new Error('there is none');
  return item;
}

const invoice = (id: string, clientId: string | null) => ({
  name: 'InvoiceCreated' as const,
  id,
  payload: { number: 'INV-7', total_minor: 1250, currency: 'USD' },
  clientId,
});

describe('deliveries', () => {
  test('an event reaches its client through the mail sender, and is sent once however often it is told', async () => {
    const { a, publish } = host();
    await publish(SENDER);
    const instanceId = await a.installedWithInstance('Pigeon', { mood: 'ok', token: 'the-token-value' });
    const db = a.panel.db;
    const id = await first(tellEvent(db, { tenantId: a.id, ...invoice('e1', a.clientId) }));
    expect(await tellEvent(db, { tenantId: a.id, ...invoice('e1', a.clientId) })).toEqual([]);
    const delivery = await ended(a, id);
    expect(delivery).toMatchObject({
      status: 'sent',
      attempts: 1,
      category: 'client_administrative',
      event: 'InvoiceCreated',
      sender: 'Pigeon · Main',
      instance_id: instanceId,
      account_id: a.clientId,
      recipient: `client@${a.slug}.example`,
      subject: 'Invoice INV-7',
    });
    expect(delivery.payload).toMatchObject({ module: 'System', type: 'info', title: 'Invoice INV-7' });
    const { message } = delivery.payload as { message: string };
    expect(message).toContain('INV-7 over 12.50 USD');
    expect(message).toContain(a.slug);
    expect(await deliveries(host().b)).toEqual([]);
  });

  test('send() gets what the log shows: the guide’s keys (A21) [GAP-04]', async () => {
    const { a } = host();
    const line = await until('it has happened', async () =>
      a.panel.db
        .selectFrom('logs')
        .selectAll()
        .where('tenant_id', '=', a.id)
        .where('action', '=', 'send')
        .executeTakeFirst(),
    );
    const delivery = await first(deliveries(a));
    expect(line.request).toEqual(delivery.payload);
    expect(line.request).toMatchObject({
      to: expect.stringMatching(/@/),
      subject: expect.any(String),
      title: expect.any(String),
      message: expect.any(String),
      module: 'System',
      type: expect.stringMatching(/^(error|warning|success|info)$/),
    });
  });

  test('markup in a name is text, and a line break in it begins no header', async () => {
    const { a } = host();
    const id = await first(
      tellEvent(a.panel.db, {
        tenantId: a.id,
        name: 'ClientRegistered',
        id: 'e2',
        payload: { name: '<script>alert(1)</script>\r\nBcc: all@example.net', email: 'x@y.example' },
        clientId: null,
      }),
    );
    const delivery = await ended(a, id);
    expect(delivery.subject).toBe('A new client: <script>alert(1)</script> Bcc: all@example.net');
    expect((delivery.payload as { message: string }).message).toContain('&lt;script&gt;');
    expect(delivery.recipient).toBe(`admin@${a.slug}.example`);
  });

  test('a recipient, subject or message that cannot be is refused with 422 before any module code runs (A21)', async () => {
    const { a } = host();
    const { instance_id: instanceId } = await first(deliveries(a));
    for (const to of ['', 'nobody', 'a@example.com\r\nBcc: b@example.com', 'a@example.com, b@example.com']) {
      const id = await sendTest(a.panel.db, { tenantId: a.id, instanceId: instanceId ?? '', to });
      const delivery = await ended(a, id);
      expect(delivery, to).toMatchObject({ status: 'failed', error_code: '422', attempts: 0, task_id: null });
    }
  });

  test('an error that send() returns is tried again, one with a 4xx code is not', async () => {
    const { a } = host();
    const final = await a.newInstance('Pigeon', 'Final', { mood: '422' });
    const to = `client@${a.slug}.example`;
    const refused = await sendTest(a.panel.db, { tenantId: a.id, instanceId: final, to });
    expect(await ended(a, refused)).toMatchObject({
      status: 'failed',
      attempts: 1,
      error_code: '422',
      error_message: 'refused',
    });
    const busy = await a.newInstance('Pigeon', 'Busy', { mood: '503' });
    const waiting = await sendTest(a.panel.db, { tenantId: a.id, instanceId: busy, to });
    const task = await until('it has happened', async () => {
      const row = (await deliveries(a)).find(({ id }) => id === waiting);
      const found = await a.panel.db
        .selectFrom('tasks')
        .select(['attempts', 'status', 'run_at', 'backoff_s'])
        .where('id', '=', row?.task_id ?? '')
        .executeTakeFirst();
      return found?.attempts === 1 && found.status === 'queued' ? found : undefined;
    });
    expect(task.run_at.getTime()).toBeGreaterThan(Date.now());
  });

  test('a sender that loops for ever stops no other', async () => {
    const { a } = host();
    const loop = await a.newInstance('Pigeon', 'Loop', { mood: 'loop' });
    const well = await a.newInstance('Pigeon', 'Well', { mood: 'ok' });
    const to = `client@${a.slug}.example`;
    await sendTest(a.panel.db, { tenantId: a.id, instanceId: loop, to });
    const id = await sendTest(a.panel.db, { tenantId: a.id, instanceId: well, to });
    expect((await ended(a, id)).status).toBe('sent');
    await a.panel.instances.setActive({ instanceId: loop, active: false, accountId: a.adminId });
  });

  test('no secret’s value stands in the log of deliveries', async () => {
    const { a } = host();
    const echo = await a.newInstance('Pigeon', 'Echo', { mood: 'echo', token: 'the-token-value' });
    const id = await sendTest(a.panel.db, {
      tenantId: a.id,
      instanceId: echo,
      to: `client@${a.slug}.example`,
    });
    const delivery = await ended(a, id);
    expect(delivery.error_message).toMatch(/^not with bhs_/);
    expect(JSON.stringify(delivery)).not.toContain('the-token-value');
  });

  test('a sender cannot send through senders (A22)', async () => {
    const { a } = host();
    const again = await a.newInstance('Pigeon', 'Again', { mood: 'mail' });
    const id = await sendTest(a.panel.db, {
      tenantId: a.id,
      instanceId: again,
      to: `client@${a.slug}.example`,
    });
    const lines = await until('it has happened', async () => {
      const found = await a.panel.db
        .selectFrom('logs')
        .select('request')
        .where('tenant_id', '=', a.id)
        .where('action', '=', 'refused: mail.send')
        .execute();
      return found.length > 0 ? found : undefined;
    });
    expect(lines[0]?.request).toBe('mail: a module that sends messages cannot ask for one.');
    expect((await deliveries(a)).filter(({ source_id: source }) => source !== null)).toEqual([]);
    await a.panel.instances.setActive({ instanceId: again, active: false, accountId: a.adminId });
    expect(id).toBeTruthy();
  });

  test('resend makes a delivery of its own, with the same content; another tenant’s is not found', async () => {
    const { a, b } = host();
    const original = await first(deliveries(a));
    const id = await resend(a.panel.db, a.id, original.id);
    const again = await ended(a, id);
    expect(again).toMatchObject({ status: 'sent', resent_of: original.id, recipient: original.recipient });
    expect(again.payload).toEqual(original.payload);
    expect(await refusal(() => resend(a.panel.db, b.id, original.id))).toBe(
      'NOT_FOUND: There is no such delivery.',
    );
  });

  test('warnings for the staff go to the chat too, client mail does not', async () => {
    const { a, publish } = host();
    await publish(CHAT);
    await a.installedWithInstance('Room', {});
    const staff = await tellEvent(a.panel.db, {
      tenantId: a.id,
      name: 'ModulePaused',
      id: 'e3',
      payload: { module: 'X', reason: 'too many kills' },
      clientId: null,
    });
    const rows = (await deliveries(a)).filter(({ id }) => staff.includes(id));
    expect(rows.map(({ channel }) => channel).toSorted()).toEqual(['chat', 'email']);
    const client = await tellEvent(a.panel.db, { tenantId: a.id, ...invoice('e4', a.clientId) });
    expect(client).toHaveLength(1);
  });

  test('a rule decides instead of the defaults, by category, event and level', async () => {
    const { a } = host();
    const room = await first(
      a.panel.db
        .selectFrom('instances')
        .innerJoin('installations', 'installations.id', 'instances.installation_id')
        .innerJoin('modules', 'modules.id', 'installations.module_id')
        .select('instances.id')
        .where('modules.name', '=', 'Room')
        .where('instances.tenant_id', '=', a.id)
        .execute(),
    );
    const rule = await a.panel.db
      .insertInto('notification_rules')
      .values({
        tenant_id: a.id,
        category: 'staff_operational',
        event: 'ServiceCreateFailed',
        min_level: 'error',
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    await a.panel.db
      .insertInto('notification_rule_senders')
      .values({ rule_id: rule.id, instance_id: room.id })
      .execute();
    const failed = {
      tenantId: a.id,
      name: 'ServiceCreateFailed' as const,
      id: 'e5',
      payload: { name: 's', message: 'no room' },
      clientId: null,
    };
    const rows = await tellEvent(a.panel.db, failed);
    expect((await deliveries(a)).filter(({ id }) => rows.includes(id)).map(({ channel }) => channel)).toEqual(
      ['chat'],
    );
    expect(await tellEvent(a.panel.db, { tenantId: a.id, ...invoice('e6', a.clientId) })).toEqual([]);
    expect(await tellEvent(a.panel.db, { ...failed, name: 'ModulePaused', id: 'e7' })).toEqual([]);
    // Switched off it tells nobody, and still keeps the host's own rules out.
    const switched = (active: boolean, tenantId = a.id) =>
      a.panel.notifications.switchRule({ tenantId, ruleId: rule.id, active });
    await switched(false);
    expect(await tellEvent(a.panel.db, { ...failed, id: 'e8' })).toEqual([]);
    await switched(true, host().b.id);
    expect(await tellEvent(a.panel.db, { ...failed, id: 'e9' })).toEqual([]);
    await switched(true);
    expect(await tellEvent(a.panel.db, { ...failed, id: 'e10' })).toHaveLength(1);
    await a.panel.db.deleteFrom('notification_rules').where('id', '=', rule.id).execute();
  });
});

describe('a job called send of a module that is no sender', () => {
  test('is tried again only if it says so, as any job', async () => {
    const { a, publish } = host();
    await publish({
      name: 'Till',
      type: 'Payment',
      members: `send() { return { status: 'error', message: 'Not today.' }; }`,
    });
    const instanceId = await a.installedWithInstance('Till');
    const task = await enqueueTask(a.panel.db, {
      installationId: await a.installationId('Till'),
      instanceId,
      method: 'send',
      params: {},
      tags: [],
      tries: 3,
      maxExceptions: 3,
      backoffS: 1,
      timeoutS: 60,
    });
    const ended = await until('it has ended', async () =>
      a.panel.db
        .selectFrom('tasks')
        .select(['status', 'attempts'])
        .where('id', '=', task.id)
        .where('finished_at', 'is not', null)
        .executeTakeFirst(),
    );
    expect(ended).toEqual({ status: 'failed', attempts: 1 });
  });
});

describe('events', () => {
  test('a client who registers is told of to the staff, through the event itself', async () => {
    const { a } = host();
    await a.panel.auth.createAccount({
      kind: 'client',
      tenantId: a.id,
      name: 'New <i>One</i>',
      email: `new@${a.slug}.example`,
      password: 'A long password 3',
    });
    const delivery = await until('the staff is told', async () =>
      (await deliveries(a)).find(
        ({ event, subject }) => event === 'ClientRegistered' && subject.includes('New <i>One</i>'),
      ),
    );
    expect((delivery.payload as { message: string }).message).toContain('New &lt;i&gt;One&lt;/i&gt;');
  });

  test('a template that an admin broke keeps nobody from being told', async () => {
    const { a } = host();
    const row = { tenant_id: a.id, name: 'InvoiceCreated', locale: 'en', layout: 'default', plain: 'p' };
    await a.panel.db
      .insertInto('notification_templates')
      .values({
        ...row,
        subject: 'Mine {{ event.number }}',
        html: '{% for a in (1..9000000) %}x{% endfor %}',
      })
      .execute();
    const [id] = await tellEvent(a.panel.db, { tenantId: a.id, ...invoice('e9', a.clientId) });
    expect((await deliveries(a)).find((delivery) => delivery.id === id)?.subject).toBe('Invoice INV-7');
    await a.panel.db
      .updateTable('notification_templates')
      .set({ html: 'fine' })
      .where('tenant_id', '=', a.id)
      .execute();
    const [mine] = await tellEvent(a.panel.db, { tenantId: a.id, ...invoice('e10', a.clientId) });
    expect((await deliveries(a)).find((delivery) => delivery.id === mine)?.subject).toBe('Mine INV-7');
    await a.panel.db.deleteFrom('notification_templates').where('tenant_id', '=', a.id).execute();
  });
});

describe('mail and notify', () => {
  const message = { subject: 'Hello', message: 'One\n\nTwo <b>' };

  test('a module writes to the tenant’s own people, by its hour', async () => {
    const { a, b, publish } = host();
    await publish(ASKER);
    await a.installed('Asker');
    const to = `client@${a.slug}.example`;
    const id = String(await a.call('Asker', 'write', { to, ...message }));
    const delivery = await ended(a, id);
    expect(delivery).toMatchObject({ status: 'sent', subject: 'Hello', recipient: to });
    expect((delivery.payload as { message: string }).message).toContain('<p>One</p>\n<p>Two &lt;b&gt;</p>');
    expect(delivery.payload).toMatchObject({ module: 'Asker' });
    const refused = async (mail: object): Promise<string> => refusal(() => a.call('Asker', 'write', mail));
    expect(await refused({ to: `client@${b.slug}.example`, ...message })).toContain(
      'nobody here has this address',
    );
    expect(await refused({ to: 'stranger@example.com', ...message })).toContain(
      'nobody here has this address',
    );
    expect(await refused({ to, ...message, html: '<b>x</b>' })).toContain('permissions.mail.html');
    expect(await refused({ to, ...message, subject: 'a\nBcc: b@c.example' })).toMatch(/mail/);
    await a.call('Asker', 'write', { to, ...message });
    await a.call('Asker', 'write', { to, ...message });
    expect(await refused({ to, ...message })).toContain('more than 3 messages an hour');
  });

  test('a module tells a category that it was granted, and clients of this tenant only', async () => {
    const { a, b } = host();
    const refused = async (tell: object): Promise<string> => refusal(() => a.call('Asker', 'tell', tell));
    expect(await refused({ category: 'staff_administrative', ...message })).toContain(
      'category staff_administrative is not granted; add it to permissions.notify.categories',
    );
    expect(await refused({ category: 'client_operational', client: b.clientId, ...message })).toContain(
      'there is no such client',
    );
    expect(await refused({ category: 'client_operational', ...message })).toContain('needs client');
    const ids = (await a.call('Asker', 'tell', {
      category: 'client_operational',
      client: a.clientId,
      ...message,
    })) as string[];
    expect(await ended(a, ids[0] ?? '')).toMatchObject({
      category: 'client_operational',
      account_id: a.clientId,
      status: 'sent',
    });
  });

  test('without a mail sender a mail is refused with what to do', async () => {
    const { b } = host();
    await b.installed('Asker');
    const text = await refusal(() =>
      b.call('Asker', 'write', { to: `client@${b.slug}.example`, ...message }),
    );
    expect(text).toContain('no mail sender is set up');
  });
});
