/** The senders that ship, against the fake cloud: a mail server over SMTP and a Slack channel over HTTP. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ModuleRequest } from '../../sandbox/contract/invocation.ts';
import { sendTest, tellEvent } from '../../src/notifications/notifications.ts';
import { spawnFakeCloud, type FakeCloud } from '../../src/fakecloud/spawn.ts';
import { allowPorts, useTestHost } from '../support/host.ts';
import { refusal } from '../support/tenant.ts';
import { until } from '../support/until.ts';
import { moduleFolder } from './support.ts';

const host = useTestHost({ worker: true });
let cloud: FakeCloud;
const senders = { mail: '', slack: '' };

beforeAll(async () => {
  cloud = await spawnFakeCloud();
  const { a, publishFolder } = host();
  await allowPorts(a, [cloud.smtp.port, Number(new URL(cloud.cloud).port)]);
  await publishFolder(moduleFolder('Notification/Email'));
  await publishFolder(moduleFolder('Notification/SlackNotification'));
  senders.mail = await a.installedWithInstance('Email', {
    server: cloud.smtp.host,
    port: cloud.smtp.port,
    encryption: 'none',
    username: cloud.smtp.username,
    password: cloud.smtp.password,
    from_email: 'hello@acme.example',
    from_name: 'Acme',
  });
  senders.slack = await a.installedWithInstance('SlackNotification', {
    server: cloud.cloud,
    webhook_url: cloud.slack,
  });
});
afterAll(async () => cloud.stop());
beforeEach(async () => cloud.control.reset());

async function ended(id: string) {
  return until(`the end of delivery ${id}`, async () => {
    const { a } = host();
    const row = await a.panel.db
      .selectFrom('deliveries')
      .selectAll()
      .where('id', '=', id)
      .where('status', '<>', 'queued')
      .executeTakeFirst();
    return row;
  });
}

/** Ends the wait of a task that is to be tried again. */
async function hurry(id: string): Promise<void> {
  const { db } = host().a.panel;
  const task = await until('a first try', async () =>
    db
      .selectFrom('deliveries')
      .innerJoin('tasks', 'tasks.id', 'deliveries.task_id')
      .select(['tasks.id'])
      .where('deliveries.id', '=', id)
      .where('tasks.attempts', '>', 0)
      .where('tasks.status', '=', 'queued')
      .executeTakeFirst(),
  );
  await host().a.panel.jobs.cancel(task.id, host().a.adminId);
  await until('the cancel', async () =>
    db
      .selectFrom('tasks')
      .select('id')
      .where('id', '=', task.id)
      .where('finished_at', 'is not', null)
      .executeTakeFirst(),
  );
  await host().a.panel.jobs.retry(task.id, host().a.adminId);
}

const testMail = async (to = 'client@example.net') => {
  const { a } = host();
  return sendTest(a.panel.db, { tenantId: a.id, instanceId: senders.mail, to });
};
const testSlack = async () => {
  const { a } = host();
  return sendTest(a.panel.db, { tenantId: a.id, instanceId: senders.slack, to: '' });
};

async function say(instanceId: string, module: string, data: object): Promise<unknown> {
  const { a } = host();
  const { results } = await a.bulkhead.invoker.invoke({
    installationId: await a.installationId(module),
    instanceId,
    purpose: 'request',
    calls: [{ target: { on: 'module' }, method: 'send', args: [data] }],
  });
  const last = results.at(-1);
  return last !== undefined && 'value' in last ? last.value : undefined;
}

describe('Email', () => {
  test('a client is told of an invoice by mail, through a real SMTP conversation (A19, A21, A22) [NT-07 NT-14 NT-15 STR-02]', async () => {
    const { a } = host();
    const [id] = await tellEvent(a.panel.db, {
      tenantId: a.id,
      name: 'InvoiceCreated',
      id: 'mail-1',
      payload: { number: 'INV-1', total_minor: 999, currency: 'USD' },
      clientId: a.clientId,
    });
    expect((await ended(id ?? '')).status).toBe('sent');
    const [mail] = await cloud.control.mails();
    expect(mail).toMatchObject({
      from: 'hello@acme.example',
      to: [`client@${a.slug}.example`],
      authenticatedAs: cloud.smtp.username,
      subject: 'Invoice INV-1',
    });
    expect(mail?.headers['from']).toBe('Acme <hello@acme.example>');
    expect(mail?.headers['content-type']).toContain('multipart/alternative');
    expect(mail?.raw).toContain('9.99 USD');
  });

  test('getModuleData gives server, port, encryption, credentials and sender; the password is a handle [NT-01 NT-02 NT-03 NT-04 NT-05 NT-06]', async () => {
    const { a } = host();
    const { results } = await a.bulkhead.invoker.invoke({
      installationId: await a.installationId('Email'),
      instanceId: senders.mail,
      purpose: 'request',
      calls: [{ target: { on: 'module' }, method: 'getModuleData', args: [{ password: 'bhs_x' }] }],
    });
    expect(results.at(-1)).toEqual({
      value: {
        password: 'bhs_x',
        server: '',
        port: 587,
        encryption: 'starttls',
        username: '',
        from_email: '',
        from_name: '',
      },
    });
  });

  test('send() answers 422 with errors by field [NT-08 NT-09 NT-10 NT-12 NT-13]', async () => {
    const answer = await say(senders.mail, 'Email', { to: 'nobody', subject: 'x'.repeat(256), message: '' });
    expect(answer).toMatchObject({ status: 'error', code: 422 });
    expect(Object.keys((answer as { message: object }).message).toSorted()).toEqual([
      'message',
      'subject',
      'to',
    ]);
    expect(await cloud.control.mails()).toEqual([]);
  });

  test('attachments go along [NT-11 NT-16]', async () => {
    const attachments = [
      { filename: 'invoice.txt', type: 'text/plain', base64: Buffer.from('total').toString('base64') },
    ];
    const answer = await say(senders.mail, 'Email', {
      to: 'a@example.net',
      subject: 's',
      message: '<p>m</p>',
      attachments,
    });
    expect(answer).toMatchObject({ status: 'success' });
    expect((await cloud.control.mails())[0]?.raw).toContain('filename=invoice.txt');
  });

  test('a busy server is asked again, and the mail arrives once', async () => {
    await cloud.control.addFault({
      match: { method: 'SMTP', path: '/smtp/message' },
      kind: 'status',
      status: 451,
    });
    const id = await testMail();
    await hurry(id);
    await until('the mail', async () => (await cloud.control.mails()).length === 1);
    expect(
      await until('sent', async () => {
        const delivery = await ended(id);
        return delivery.status === 'sent' ? delivery : undefined;
      }),
    ).toMatchObject({ error_code: null });
    expect(await cloud.control.mails()).toHaveLength(1);
  });

  test('an unknown recipient and a wrong password fail at once, and say why without the password', async () => {
    await cloud.control.addFault({
      match: { method: 'SMTP', path: '/smtp/rcpt' },
      kind: 'status',
      status: 550,
    });
    expect(await ended(await testMail())).toMatchObject({ status: 'failed', attempts: 1 });
    const { a } = host();
    const wrong = await a.newInstance('Email', 'Wrong', {
      server: cloud.smtp.host,
      port: cloud.smtp.port,
      encryption: 'none',
      username: cloud.smtp.username,
      password: 'not-the-password',
      from_email: 'hello@acme.example',
    });
    const id = await sendTest(a.panel.db, { tenantId: a.id, instanceId: wrong, to: 'x@example.net' });
    const delivery = await ended(id);
    expect(delivery).toMatchObject({ status: 'failed', attempts: 1 });
    expect(delivery.error_message).toContain('refused the user name or password');
    expect(JSON.stringify(delivery)).not.toContain('not-the-password');
  });

  test('a server at an address that modules may not reach is refused, and not asked again', async () => {
    const { a } = host();
    const inside = await a.newInstance('Email', 'Inside', {
      server: '10.0.0.1',
      port: 25,
      encryption: 'starttls',
      from_email: 'hello@acme.example',
    });
    const id = await sendTest(a.panel.db, { tenantId: a.id, instanceId: inside, to: 'x@example.net' });
    const delivery = await ended(id);
    expect(delivery).toMatchObject({ status: 'failed', attempts: 1 });
    expect(delivery.error_message).toContain('at an address that modules may not reach');
  });
});

/** The module's page as an admin with these permissions gets it, or what its form answers. */
async function adminPage(
  module: string,
  path: string,
  form?: Readonly<Record<string, string>>,
  permissions: readonly string[] = ['*'],
) {
  const { a } = host();
  const request: ModuleRequest = {
    method: form === undefined ? 'GET' : 'POST',
    url: `http://127.0.0.1/${path}`,
    headers: [['content-type', 'application/x-www-form-urlencoded']],
    body: { text: new URLSearchParams(form).toString() },
    params: {},
  };
  return a.panel.modules.adminPage({
    installationId: await a.installationId(module),
    path,
    request,
    account: { id: a.adminId, kind: 'admin', permissions },
  });
}
const listed = async (module: string): Promise<string> => {
  const answer = await adminPage(module, 'messages');
  return answer.kind === 'html' ? answer.html : '';
};

describe('the page of messages', () => {
  test('of Email lists what was sent and what could not be, with the reason, escaped', async () => {
    const message = { to: 'page@example.net', subject: '<b>Page</b>', message: '<p>m</p>' };
    expect(await say(senders.mail, 'Email', message)).toMatchObject({ status: 'success' });
    await say(senders.mail, 'Email', { ...message, to: 'nobody' });
    const html = await listed('Email');
    expect(html).toMatch(/page@example\.net<[\s\S]*?&lt;b&gt;Page&lt;\/b&gt;[\s\S]*?>Sent</);
    expect(html.split('<tr>').find((row) => row.includes('nobody'))).toMatch(/>Failed<[\s\S]*messages-why/);
    expect(html).not.toContain('<b>Page');
  });

  test('of Email sends a test through the instance that is chosen, for who may', async () => {
    const form = { instance: senders.mail, to: 'tried@example.net' };
    expect(await listed('Email')).toContain(`value="${senders.mail}"`);
    const view = ['Notification-Email-view-messages'];
    expect(await refusal(() => adminPage('Email', 'messages/test', form, view))).toMatch(/^NOT_GRANTED/);
    const onlySeen = await adminPage('Email', 'messages', undefined, view);
    expect(onlySeen.kind === 'html' && onlySeen.html).not.toContain('messages/test');
    expect(await adminPage('Email', 'messages/test', { ...form, to: 'x' })).toMatchObject({ status: 422 });
    expect(await adminPage('Email', 'messages/test', form)).toMatchObject({ kind: 'json', status: 200 });
    const mail = await until('the test', async () =>
      (await cloud.control.mails()).find(({ to }) => to.includes('tried@example.net')),
    );
    expect(mail.subject).toBe('A test message');
    await until('its line', async () => (await listed('Email')).includes('tried@example.net'));
  });

  test('names the module’s own instances only, and takes no other', async () => {
    expect(await listed('Email')).not.toContain(senders.slack);
    const form = { instance: senders.slack, to: 'tried@example.net' };
    expect(await refusal(() => adminPage('Email', 'messages/test', form))).toContain('no such instance');
  });

  test('of Slack sends a test into the channel and lists it', async () => {
    expect(await adminPage('SlackNotification', 'messages/test', { instance: senders.slack })).toMatchObject({
      status: 200,
    });
    await until('the message', async () => (await cloud.control.slackMessages()).length > 0);
    await until('its line', async () => (await listed('SlackNotification')).includes('A test message'));
  });
});

describe('a mail whose answer was lost', () => {
  const SERVER_TOOK_IT = {
    match: { method: 'SMTP', path: '/smtp/message' },
    kind: 'drop',
    when: 'after',
  } as const;
  const lost = async () => {
    await cloud.control.addFault(SERVER_TOOK_IT);
    const id = await testMail();
    expect(await ended(id)).toMatchObject({ status: 'in_doubt', attempts: 1, error_code: 'STEP_IN_DOUBT' });
    expect(await cloud.control.mails()).toHaveLength(1);
    return id;
  };
  const taskOf = async (id: string): Promise<string> => {
    const row = await host()
      .a.panel.db.selectFrom('deliveries')
      .select('task_id')
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    return row.task_id ?? '';
  };
  const retried = async (id: string): Promise<void> => {
    const { a } = host();
    const task = await taskOf(id);
    await a.panel.jobs.retry(task, a.adminId);
    await until('the task to have ended', async () =>
      a.panel.db
        .selectFrom('tasks')
        .select('id')
        .where('id', '=', task)
        .where('finished_at', 'is not', null)
        .executeTakeFirst(),
    );
  };

  test('is in doubt and not sent again by itself; a person sends it again with the Message-ID that it had', async () => {
    const { a } = host();
    const id = await lost();
    await retried(id);
    expect(await ended(id)).toMatchObject({ status: 'in_doubt' });
    expect(await cloud.control.mails()).toHaveLength(1);
    expect(await a.panel.notifications.resend({ tenantId: a.id, deliveryId: id })).toEqual({
      deliveryId: id,
    });
    expect(await ended(id)).toMatchObject({ status: 'sent', error_code: null });
    const ids = (await cloud.control.mails()).map(({ headers }) => headers['message-id']);
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1]);
    // It was taken: no retry sends it a third time.
    const done = await taskOf(id);
    expect(await refusal(() => a.panel.jobs.retry(done, a.adminId))).toMatch(/^CONFLICT/);
  });

  test('is marked as sent by a person who found it, and no retry of its task sends it', async () => {
    const { a } = host();
    const id = await lost();
    await a.panel.notifications.markSent({ tenantId: a.id, deliveryId: id });
    expect(await ended(id)).toMatchObject({ status: 'sent', error_code: null, error_message: null });
    await retried(id);
    expect(await cloud.control.mails()).toHaveLength(1);
    const of = (tenantId: string) => a.panel.notifications.markSent({ tenantId, deliveryId: id });
    expect(await refusal(() => of(host().b.id))).toMatch(/^NOT_FOUND/);
    expect(await refusal(() => of(a.id))).toMatch(/^CONFLICT/);
  });

  test('is as much in doubt when the host died before it could note anything', async () => {
    const { a } = host();
    // The server is slow to answer; what a killed process leaves is what stands in the database now.
    await cloud.control.addFault({ ...SERVER_TOOK_IT, kind: 'delay', delayMs: 30_000 });
    const id = await testMail();
    const task = await until('the mail to be handed over', async () =>
      a.panel.db
        .selectFrom('step_requests')
        .innerJoin('deliveries', 'deliveries.task_id', 'step_requests.task_id')
        .select(['step_requests.task_id as id', 'step_requests.step'])
        .where('deliveries.id', '=', id)
        .executeTakeFirst(),
    );
    expect(task.step).toContain('mail to client@example.net');
    await until('the server to have it', async () => (await cloud.control.mails()).length === 1);
    await a.panel.jobs.cancel(task.id, a.adminId);
    await until('the cancel', async () => (await ended(id)).status !== 'queued');
    await retried(id);
    expect(await ended(id)).toMatchObject({ status: 'in_doubt' });
    expect(await cloud.control.mails()).toHaveLength(1);
  });

  test('is tried again where it certainly was not taken', async () => {
    await cloud.control.addFault({
      match: { method: 'SMTP', path: '/smtp/rcpt' },
      kind: 'drop',
      when: 'before',
    });
    const id = await testMail();
    await hurry(id);
    await until('the mail', async () => (await cloud.control.mails()).length === 1);
    await until('sent', async () => ((await ended(id)).status === 'sent' ? true : undefined));
    expect(await cloud.control.mails()).toHaveLength(1);
  });
});

describe('SlackNotification', () => {
  test('a message is the guide’s attachment (A21, A25, A35) [SLK-01 SLK-03 SLK-04 SLK-06 SLK-11 SLK-12 SLK-13 SLK-14 SLK-15 SLK-16 SLK-17 SLK-18 SLK-19]', async () => {
    const delivery = await ended(await testSlack());
    expect(delivery).toMatchObject({ status: 'sent', channel: 'chat' });
    const [message] = await cloud.control.slackMessages();
    expect(message?.payload).toEqual({
      attachments: [
        {
          color: '#36a64f',
          title: delivery.subject,
          text: (delivery.payload as { message: string }).message,
          fields: [
            { title: 'Time', value: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/), short: true },
            { title: 'Module', value: 'System', short: true },
          ],
          footer: 'PUQcloud',
          ts: expect.any(Number),
        },
      ],
    });
    expect(await logged('Slack notification sent')).toBe(true);
  });

  test('what a stranger is named calls nobody and leads nowhere', async () => {
    await say(senders.slack, 'SlackNotification', {
      to: 'x',
      subject: 's',
      title: '<!channel> & co',
      message: 'New client: <https://evil.example|your panel>',
      type: 'info',
    });
    const [message] = await cloud.control.slackMessages();
    expect(message?.payload).toMatchObject({
      attachments: [
        {
          title: '&lt;!channel&gt; &amp; co',
          text: 'New client: &lt;https://evil.example|your panel&gt;',
        },
      ],
    });
  });

  test('each type has its colour [SLK-20 SLK-21 SLK-22 SLK-23 SLK-24]', async () => {
    const colours = [];
    for (const type of ['error', 'warning', 'success', 'info']) {
      await say(senders.slack, 'SlackNotification', {
        to: 'x',
        subject: 's',
        title: 't',
        message: 'm',
        type,
      });
      const messages = await cloud.control.slackMessages();
      colours.push(/"color":"([^"]*)"/.exec(JSON.stringify(messages.at(-1)?.payload))?.[1]);
    }
    expect(colours).toEqual(['danger', 'warning', 'good', '#36a64f']);
  });

  test('without an address it says so [SLK-05]', async () => {
    const { a } = host();
    const bare = await a.newInstance('SlackNotification', 'Bare', { server: cloud.cloud });
    const id = await sendTest(a.panel.db, { tenantId: a.id, instanceId: bare, to: '' });
    expect(await ended(id)).toMatchObject({
      status: 'failed',
      attempts: 1,
      error_message: 'Webhook URL not configured',
    });
  });

  test('an answer other than 200 is logged with status and body, and the address is in no log [SLK-07 SLK-08 SLK-09 SLK-10]', async () => {
    const { a } = host();
    const secret = `${cloud.cloud}/slack/T-wrong-token`;
    const wrong = await a.newInstance('SlackNotification', 'Wrong', {
      server: cloud.cloud,
      webhook_url: secret,
    });
    const delivery = await ended(await sendTest(a.panel.db, { tenantId: a.id, instanceId: wrong, to: '' }));
    expect(delivery).toMatchObject({
      status: 'failed',
      attempts: 1,
      error_code: '403',
      error_message: 'Slack API error',
    });
    expect(await logged('Slack API error')).toBe(true);
    const lines = await a.panel.db
      .selectFrom('logs')
      .select(['request', 'response'])
      .where('tenant_id', '=', a.id)
      .execute();
    expect(JSON.stringify(lines)).not.toContain('T-wrong-token');
    expect(JSON.stringify(lines)).not.toContain(cloud.slack);
    expect(JSON.stringify(lines)).toContain('status_code');
  });
});

/** A line of a module whose first part is this text. */
async function logged(text: string): Promise<boolean> {
  const { a } = host();
  return until(`the line ${text}`, async () => {
    const lines = await a.panel.db
      .selectFrom('logs')
      .select('request')
      .where('tenant_id', '=', a.id)
      .execute();
    return lines.some(({ request }) => request === text);
  });
}
