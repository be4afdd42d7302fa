/** The smtp broker against the fake cloud's mail server and against servers that lie, one attack a test. */
import { createServer as createTlsServer } from 'node:tls';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as v from 'valibot';

import { capabilities } from '../../sandbox/contract/capabilities.ts';
import type { Grant, OpInput, OpOutput } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Scope } from '../../src/brokers/broker.ts';
import { createSmtpBroker, type SmtpBrokerDeps } from '../../src/brokers/smtp.ts';
import { spawnFakeCloud, type FakeCloud } from '../../src/fakecloud/spawn.ts';
import { TEST_CERTIFICATE, TEST_KEY } from './http-certificate.ts';
import { openVault, rawServer, tableResolver, testScope } from './http-support.ts';

const HANDLE = `bhs_${'a'.repeat(40)}`;

/** Nothing here runs in a job. */
const NO_JOURNAL = { open: async () => undefined };

let cloud: FakeCloud;
let port = 0;
beforeAll(async () => {
  cloud = await spawnFakeCloud({ smtpPassword: 'a pass with spaces & ünïcode' });
  port = cloud.smtp.port;
});
afterAll(async () => cloud.stop());

type Mail = Partial<OpInput<'smtp', 'send'>>;
interface Call {
  readonly scope?: Partial<Scope>;
  readonly grant?: Partial<Grant<'smtp'>>;
  readonly deps?: Partial<SmtpBrokerDeps>;
  readonly secretHosts?: readonly string[];
}

function allow(...ports: number[]): Scope['egressAllow'] {
  return ports.map((each) => ({ cidr: '127.0.0.1/32', port: each }));
}

/** One call of the op through the contract's own parser, as the host makes it; all is allowed but for what the test takes away. */
async function send(mail: Mail = {}, call: Call = {}): Promise<OpOutput<'smtp', 'send'>> {
  const to = mail.port ?? port;
  const secret = { name: 'password', handle: HANDLE, value: cloud.smtp.password, hosts: [] };
  const broker = createSmtpBroker({
    vault: openVault([secret]),
    journal: NO_JOURNAL,
    name: 'panel.example',
    ...call.deps,
  });
  const scope = testScope({
    egressAllow: allow(to),
    grants: {
      secrets: { names: { password: { title: 'P', hosts: call.secretHosts ?? [`127.0.0.1:${to}`] } } },
    },
    ...call.scope,
  });
  const input = v.parse(capabilities.smtp.ops.send.input, {
    host: '127.0.0.1',
    port: to,
    encryption: 'none',
    username: cloud.smtp.username,
    password: HANDLE,
    from: { name: 'Acme', address: 'acme@example.com' },
    to: ['client@example.net'],
    subject: 'Hello',
    text: 'Words',
    ...mail,
  });
  return broker.send(scope, input, {
    hosts: [`127.0.0.1:${to}`],
    plain: false,
    per_minute: 100,
    ...call.grant,
  });
}

async function refused(work: Promise<unknown>): Promise<{ code: string; message: string; data: unknown }> {
  try {
    await work;
  } catch (error) {
    if (error instanceof HostError) return { code: error.code, message: error.message, data: error.data };
    if (v.isValiError(error)) return { code: 'BAD_INPUT', message: error.message, data: undefined };
    throw error;
  }
  throw new Error('it was not refused');
}

async function lastMail() {
  const mail = (await cloud.control.mails()).at(-1);
  if (mail === undefined) throw new Error('no mail');
  return mail;
}

describe('smtp', () => {
  it('a mail reaches the server, signed in with a password the module never saw (A22)', async () => {
    const sent = await send({
      subject: 'Zażółć gęślą',
      html: '<b>Words</b>',
      cc: ['copy@example.net'],
      bcc: ['hidden@example.net'],
      attachments: [
        { filename: 'a.txt', type: 'text/plain', base64: Buffer.from('file').toString('base64') },
      ],
    });
    expect(sent.accepted).toEqual(['client@example.net', 'copy@example.net', 'hidden@example.net']);
    const mail = await lastMail();
    expect(mail).toMatchObject({
      from: 'acme@example.com',
      to: sent.accepted,
      authenticatedAs: cloud.smtp.username,
      subject: 'Zażółć gęślą',
    });
    expect(mail.headers['from']).toBe('Acme <acme@example.com>');
    expect(mail.raw).not.toContain('hidden@example.net');
    expect(mail.raw).toContain('filename=a.txt');
  });

  it('a server that is not granted is refused by name, before anything is resolved', async () => {
    const table = tableResolver({});
    const { code, message } = await refused(
      send({ host: 'mail.evil.test' }, { deps: { resolve: table.resolve } }),
    );
    expect([code, message]).toEqual([
      'NOT_GRANTED',
      `smtp: mail server mail.evil.test:${port} is not granted; add it to permissions.smtp.hosts`,
    ]);
    expect(table.asked).toEqual([]);
  });

  it('a granted server on another port is refused', async () => {
    expect((await refused(send({}, { grant: { hosts: ['127.0.0.1:1'] } }))).code).toBe('NOT_GRANTED');
  });

  it('a grant by settings fields means what the admin wrote there, and no wildcard', async () => {
    const hosts = ['{settings.server}:{settings.port}'];
    const settings = { server: '127.0.0.1', port };
    await expect(send({}, { grant: { hosts }, scope: { settings } })).resolves.toBeDefined();
    for (const other of [{ server: '*.0.1', port }, { server: '127.0.0.1', port: 1 }, {}])
      expect((await refused(send({}, { grant: { hosts }, scope: { settings: other } }))).code).toBe(
        'NOT_GRANTED',
      );
  });

  it('a name that leads to a private address is refused, also when only its second address does', async () => {
    const table = tableResolver({ 'mail.example.com': ['93.184.216.34', '10.0.0.1'] });
    const { code, message } = await refused(
      send(
        { host: 'mail.example.com' },
        {
          deps: { resolve: table.resolve },
          grant: { hosts: [`mail.example.com:${port}`] },
          secretHosts: [`mail.example.com:${port}`],
        },
      ),
    );
    expect([code, message.slice(0, 25)]).toEqual(['NOT_GRANTED', 'smtp: this host is at an ']);
  });

  it('the name is resolved once, and the socket goes to that answer', async () => {
    const table = tableResolver({ 'mail.example.com': ['127.0.0.1'] });
    const server = `mail.example.com:${port}`;
    await send(
      { host: 'mail.example.com' },
      { deps: { resolve: table.resolve }, grant: { hosts: [server] }, secretHosts: [server] },
    );
    expect(table.asked).toEqual(['mail.example.com']);
  });

  it('a password bound to another server stays here', async () => {
    const { code, message } = await refused(send({}, { secretHosts: ['mail.example.com:587'] }));
    expect([code, message]).toEqual([
      'NOT_GRANTED',
      `smtp: sending secret password to 127.0.0.1:${port} is not granted; add it to permissions.secrets.password.hosts`,
    ]);
  });

  it('a line break in subject, name, address or file name is refused', async () => {
    const before = (await cloud.control.mails()).length;
    const attacks: Mail[] = [
      { subject: 'a\r\nBcc: all@example.net' },
      { subject: 'a\nBcc: all@example.net' },
      { subject: 'a\u2028b' },
      { from: { name: 'A\r\nBcc: all@example.net', address: 'a@example.com' } },
      { from: 'a@example.com\r\nRCPT TO:<all@example.net>' },
      { to: ['a@example.com>\r\nRCPT TO:<all@example.net'] },
      { to: ['a@example.com, b@example.com'] },
      { to: ['"x y"@example.com'] },
      { reply_to: 'a@example.com\nBcc: b@example.com' },
      { attachments: [{ filename: 'a\r\nX: y', base64: '' }] },
      { attachments: [{ filename: '../../etc/passwd', base64: '' }] },
      { attachments: [{ filename: 'a', type: 'text/plain\r\nX: y', base64: '' }] },
      { subject: 'x'.repeat(256) },
      { to: [] },
    ];
    for (const attack of attacks)
      expect((await refused(send(attack))).code, JSON.stringify(attack)).toBe('BAD_INPUT');
    expect((await cloud.control.mails()).length).toBe(before);
  });

  it('a body cannot end the message early and begin another', async () => {
    const before = (await cloud.control.mails()).length;
    await send({ text: 'one\r\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<all@example.net>\r\nDATA\r\n' });
    expect((await cloud.control.mails()).length).toBe(before + 1);
  });

  it('what looks like a file or an address is content', async () => {
    await send({
      text: 'file:///etc/passwd',
      html: '<img src="file:///etc/passwd">',
      subject: '/etc/passwd',
    });
    expect((await lastMail()).raw).not.toContain('root:');
    // An attachment has no path and no href: unknown keys do not pass the contract.
    const parsed = v.parse(capabilities.smtp.ops.send.input.entries.attachments, [
      { filename: 'a', base64: '', path: '/etc/passwd', href: 'http://127.0.0.1/' },
    ]);
    expect(Object.keys(parsed[0] ?? {}).toSorted()).toEqual(['base64', 'filename', 'type']);
  });

  it('a wrong password is said to be one, without being told', async () => {
    const { code, message, data } = await refused(send({ password: 'wrong' }));
    expect([code, data]).toEqual(['SMTP_FAILED', { reason: 'auth', temporary: false }]);
    expect(message).toContain('refused the user name or password');
  });

  it('a busy server is a temporary failure, a refusal is not', async () => {
    await cloud.control.addFault({
      kind: 'status',
      status: 451,
      match: { method: 'SMTP', path: '/smtp/rcpt' },
    });
    expect((await refused(send())).data).toEqual({ reason: 'busy', temporary: true });
    await cloud.control.addFault({
      kind: 'status',
      status: 550,
      match: { method: 'SMTP', path: '/smtp/rcpt' },
    });
    expect((await refused(send())).data).toEqual({ reason: 'refused', temporary: false });
  });

  it('a server that echoes the password does not get it to the module', async () => {
    await using evil = await rawServer((socket) =>
      talk(socket, (line) => (line.startsWith('AUTH') ? `535 ${line} ${cloud.smtp.password}` : undefined)),
    );
    const { message } = await refused(send({ port: evil.port }));
    expect(message).toContain('It said: 535');
    expect(message).toContain(HANDLE);
    expect(message).not.toContain(cloud.smtp.password);
    const encoded = Buffer.from(`\0${cloud.smtp.username}\0${cloud.smtp.password}`).toString('base64');
    expect(message).not.toContain(encoded);
  });

  it('STARTTLS that is not offered is not gone without', async () => {
    const { code, data } = await refused(send({ encryption: 'starttls' }));
    expect([code, data]).toEqual(['SMTP_FAILED', { reason: 'tls', temporary: false }]);
    expect((await cloud.control.requests()).at(-1)?.path).not.toBe('/smtp/auth');
  });

  it('STARTTLS and TLS are used when wanted, with a certificate that is checked', async () => {
    await using started = await rawServer((socket) => talk(socket, undefined, { startTls: true }));
    const table = tableResolver({ 'api.example.test': ['127.0.0.1'] });
    const call = (own: number, ca?: readonly string[]): Call => ({
      deps: { resolve: table.resolve, ...(ca === undefined ? {} : { ca }) },
      grant: { hosts: [`api.example.test:${own}`] },
      secretHosts: [`api.example.test:${own}`],
    });
    const mail: Mail = { host: 'api.example.test', port: started.port, encryption: 'starttls' };
    const sent = await send(mail, call(started.port, [TEST_CERTIFICATE]));
    expect(sent.response).toContain('encrypted: true');
    expect((await refused(send(mail, call(started.port)))).data).toMatchObject({ reason: 'tls' });

    const tls = createTlsServer({ cert: TEST_CERTIFICATE, key: TEST_KEY }, (socket) => {
      socket.on('error', () => undefined);
      talk(socket);
    });
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
    const { port: tlsPort } = tls.address() as AddressInfo;
    const direct: Mail = { host: 'api.example.test', port: tlsPort, encryption: 'tls' };
    expect((await send(direct, call(tlsPort, [TEST_CERTIFICATE]))).response).toContain('encrypted: true');
    expect((await refused(send(direct, call(tlsPort)))).data).toMatchObject({ reason: 'tls' });
    tls.close();
  });

  it('what a server injects before TLS is thrown away', async () => {
    await using evil = await rawServer((socket) =>
      talk(socket, undefined, { startTls: true, inject: '250 injected\r\n' }),
    );
    const table = tableResolver({ 'api.example.test': ['127.0.0.1'] });
    const server = `api.example.test:${evil.port}`;
    const sent = await send(
      { host: 'api.example.test', port: evil.port, encryption: 'starttls' },
      {
        deps: { resolve: table.resolve, ca: [TEST_CERTIFICATE] },
        grant: { hosts: [server] },
        secretHosts: [server],
      },
    );
    expect(sent.response).toContain('encrypted: true');
  });

  it('without encryption only towards this machine, or when it is granted', async () => {
    const table = tableResolver({ 'mail.example.com': ['127.0.0.1', '93.184.216.34'] });
    const hosts = [`mail.example.com:${port}`];
    const call = { deps: { resolve: table.resolve }, secretHosts: hosts };
    const { code, message } = await refused(
      send({ host: 'mail.example.com' }, { ...call, grant: { hosts } }),
    );
    expect([code, message]).toEqual([
      'NOT_GRANTED',
      'smtp: sending without encryption is not granted; add it to permissions.smtp.plain',
    ]);
    await expect(
      send({ host: 'mail.example.com' }, { ...call, grant: { hosts, plain: true } }),
    ).resolves.toBeDefined();
  });

  it('a server that says nothing, or goes on for ever, ends with the time given', async () => {
    await using silent = await rawServer(() => undefined);
    expect((await refused(send({ port: silent.port, timeoutMs: 100 }))).data).toMatchObject({
      reason: 'timeout',
    });
    await using endless = await rawServer((socket) => {
      const timer = setInterval(() => socket.write('220-more\r\n'.repeat(2_000)), 1);
      socket.on('close', () => clearInterval(timer));
    });
    expect((await refused(send({ port: endless.port, timeoutMs: 5_000 }))).code).toBe('SMTP_FAILED');
  });

  it('the end of the invocation ends the conversation', async () => {
    await using silent = await rawServer(() => undefined);
    const ending = new AbortController();
    const sending = refused(send({ port: silent.port }, { scope: { signal: ending.signal } }));
    ending.abort();
    expect((await sending).code).toBe('ENDED');
  });

  it('a mail that is too large is refused before the server is asked', async () => {
    const { code } = await refused(
      send({ text: 'x'.repeat(2_000) }, { deps: { limits: { messageBytes: 1_000 } } }),
    );
    expect(code).toBe('LIMIT');
  });

  it('more mails a minute than granted are refused', async () => {
    const broker = createSmtpBroker({ journal: NO_JOURNAL, vault: openVault([]), name: 'panel.example' });
    const input = v.parse(capabilities.smtp.ops.send.input, {
      host: '127.0.0.1',
      port: 1,
      from: 'a@example.com',
      to: ['b@example.com'],
      subject: 's',
    });
    const grant = { hosts: ['127.0.0.1:1'], plain: false, per_minute: 2 };
    const codes = [];
    for (let n = 0; n < 3; n++)
      codes.push((await refused(broker.send(testScope({ egressAllow: allow(1) }), input, grant))).code);
    expect(codes).toEqual(['SMTP_FAILED', 'SMTP_FAILED', 'LIMIT']);
  });
});

interface Talk {
  readonly startTls?: boolean;
  readonly inject?: string;
}

/** A mail server that takes everything. `override` answers a line in its place. */
function talk(socket: Socket, override?: (line: string) => string | undefined, how: Talk = {}): void {
  const isEncrypted = socket instanceof TLSSocket;
  const offersTls = how.startTls === true && !isEncrypted;
  let inMessage = false;
  let rest = '';
  const answer = (line: string): string | undefined => {
    const own = override?.(line);
    if (own !== undefined) return own;
    if (inMessage && line !== '.') return undefined;
    if (inMessage) {
      inMessage = false;
      return `250 encrypted: ${isEncrypted}`;
    }
    if (line.startsWith('EHLO')) return `250-test\r\n${offersTls ? '250-STARTTLS\r\n' : ''}250 AUTH PLAIN`;
    if (line.startsWith('AUTH')) return '235 ok';
    if (line.startsWith('DATA')) {
      inMessage = true;
      return '354 go on';
    }
    return '250 ok';
  };
  const hear = (chunk: Buffer): void => {
    rest += chunk.toString('latin1');
    const lines = rest.split('\r\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === 'STARTTLS' && offersTls) {
        socket.off('data', hear);
        socket.write(`220 go on\r\n${how.inject ?? ''}`);
        const secure = new TLSSocket(socket, { isServer: true, cert: TEST_CERTIFICATE, key: TEST_KEY });
        secure.on('error', () => undefined);
        talk(secure, override, how);
        return;
      }
      const said = answer(line);
      if (said !== undefined) socket.write(`${said}\r\n`);
    }
  };
  socket.on('data', hear);
  if (!isEncrypted || how.startTls !== true) socket.write('220 test ESMTP\r\n');
}
