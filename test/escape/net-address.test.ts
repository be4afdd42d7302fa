/**
 * The other ways out, by the same addresses: net.connect, net.ping and smtp.send towards a server that is really there, on loopback, by
 * every way to write it and by names that lead to it. Each form is granted as it is written, so that only the address keeps it out.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { createNetBroker } from '../../src/brokers/net.ts';
import { createSmtpBroker } from '../../src/brokers/smtp.ts';
import { rawServer, testScope, type TestServer } from '../brokers/http-support.ts';
import { createRedactor } from '../../src/secrets/redactor.ts';
import { LOOPBACK_HOSTS, PRIVATE_ADDRESSES } from './http-forms.ts';

let sinkhole: TestServer;
let sinkhole6: TestServer;
let tried = 0;

beforeAll(async () => {
  sinkhole = await rawServer((socket) => void socket.end('220 here\r\n'), { address: '0.0.0.0' });
  sinkhole6 = await rawServer((socket) => void socket.end('220 here\r\n'), {
    address: '::1',
    port: sinkhole.port,
  });
});
afterAll(async () => {
  const reached = sinkhole.connections() + sinkhole6.connections();
  process.stdout.write(`net and mail escapes: ${tried} tried, ${reached} connections reached the sinkhole\n`);
  await sinkhole[Symbol.asyncDispose]();
  await sinkhole6[Symbol.asyncDispose]();
});

const requests = { ask: async () => 'asked' as const };
const vault = { open: async () => ({ byHandle: new Map(), handles: {}, redactor: createRedactor([]) }) };
const journal = { open: async () => undefined };

type Way = (host: string, resolve: () => Promise<readonly string[]>) => Promise<unknown>;

const WAYS: Readonly<Record<string, Way>> = {
  'net.connect': async (host, resolve) =>
    createNetBroker({ requests, resolve }).connect(
      testScope(),
      { host, port: sinkhole.port, timeoutMs: 500 },
      { hosts: [`${host}:${sinkhole.port}`], ping: true, per_minute: 10_000 },
    ),
  'net.ping': async (host, resolve) =>
    createNetBroker({ requests, resolve }).ping(
      testScope(),
      { host, timeoutMs: 500 },
      { hosts: [`${host}:${sinkhole.port}`], ping: true, per_minute: 10_000 },
    ),
  'smtp.send': async (host, resolve) =>
    createSmtpBroker({ vault, name: 'panel.test', resolve, journal, limits: { connectMs: 500 } }).send(
      testScope(),
      {
        host,
        port: sinkhole.port,
        encryption: 'none',
        username: '',
        password: '',
        from: 'a@example.com',
        to: ['b@example.com'],
        cc: [],
        bcc: [],
        subject: 's',
        text: 't',
        attachments: [],
      },
      { hosts: [`${host}:${sinkhole.port}`], plain: true, per_minute: 10_000 },
    ),
};

async function refusal(work: Promise<unknown>): Promise<string> {
  tried += 1;
  try {
    await work;
    return 'went through';
  } catch (error) {
    if (error instanceof HostError) return error.code;
    throw error;
  }
}

describe.each(Object.entries(WAYS))('%s', (_name, way) => {
  it('reaches no loopback address, however it is written', async () => {
    const through: string[] = [];
    for (const host of LOOPBACK_HOSTS) {
      const code = await refusal(way(host, async () => ['127.0.0.1']));
      if (code !== 'NOT_GRANTED' && code !== 'BAD_INPUT') through.push(`${host}: ${code}`);
    }
    expect(through).toEqual([]);
  });

  it('reaches no private address by a name, alone or beside a public one', async () => {
    const through: string[] = [];
    for (const address of PRIVATE_ADDRESSES)
      for (const answers of [[address], ['93.184.216.34', address]]) {
        const code = await refusal(way('mail.example.test', async () => answers));
        if (code !== 'NOT_GRANTED') through.push(`${answers.join()}: ${code}`);
      }
    expect(through).toEqual([]);
  });

  it('has opened no connection', () => {
    expect([sinkhole.connections(), sinkhole6.connections()]).toEqual([0, 0]);
  });
});
