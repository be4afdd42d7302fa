/**
 * What tests of outbound requests share: an invocation's scope, a vault without a database, a resolver that answers from a table, and
 * real servers on loopback, which are reachable only where a test allows their address and port.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

import * as v from 'valibot';

import { capabilities } from '../../sandbox/contract/capabilities.ts';
import type { Grant, OpInput } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { RecordedCall, Scope } from '../../src/brokers/broker.ts';
import { createHttpBroker } from '../../src/brokers/http.ts';
import type { HttpBrokerDeps } from '../../src/brokers/http.ts';
import type { HttpAnswer, StepJournal } from '../../src/brokers/http/journal.ts';
import { createRedactor } from '../../src/secrets/redactor.ts';
import type { Secret } from '../../src/secrets/vault.ts';
import { TEST_CERTIFICATE, TEST_KEY } from './http-certificate.ts';

export interface TestScope extends Scope {
  readonly recorded: RecordedCall[];
  readonly uses: string[];
}

const MINUTE_MS = 60_000;

export function testScope(changes: Partial<Scope> = {}): TestScope {
  const recorded: RecordedCall[] = [];
  const uses: string[] = [];
  return {
    invocationId: 'i1',
    purpose: 'request',
    method: 'test',
    tenantId: 't1',
    installationId: 'inst1',
    instanceId: null,
    versionId: 'v1',
    publisher: 'test-house',
    timezone: 'UTC',
    moduleType: 'Plugin',
    moduleName: 'Test',
    schemaName: null,
    grants: {},
    settings: {},
    egressAllow: [],
    methods: new Set(),
    emits: [],
    serviceId: null,
    taskId: null,
    accountId: null,
    deadlineAt: performance.now() + MINUTE_MS,
    signal: new AbortController().signal,
    onEnd: () => undefined,
    afterSuccess: () => undefined,
    record: (call) => void recorded.push(call),
    used: (item) => void uses.push(item),
    ...changes,
    recorded,
    uses,
  };
}

export function httpGrant(changes: Partial<Grant<'http'>> = {}): Grant<'http'> {
  return { hosts: [], methods: ['GET', 'POST'], per_minute: 10_000, ...changes };
}

/** The vault's reading side over values that are already open. */
export function openVault(secrets: readonly Secret[] = []): HttpBrokerDeps['vault'] {
  const opened = {
    byHandle: new Map(secrets.map((secret) => [secret.handle, secret])),
    handles: Object.fromEntries(secrets.map(({ name, handle }) => [name, handle])),
    redactor: createRedactor(secrets),
  };
  return { open: async () => opened };
}

/** A journal for requests that belong to no step: to be asked is a failure. */
export const noJournal: StepJournal = {
  before: async () => Promise.reject(new Error('no step was running')),
  answered: async () => Promise.reject(new Error('no step was running')),
  unsent: async () => Promise.reject(new Error('no step was running')),
};

/** Answers from a table and counts the questions; a name that is not in it does not exist. */
export function tableResolver(table: Readonly<Record<string, readonly string[]>>): {
  resolve: (host: string) => Promise<readonly string[]>;
  asked: string[];
} {
  const asked: string[] = [];
  return {
    asked,
    async resolve(host) {
      asked.push(host);
      const addresses = Object.hasOwn(table, host) ? table[host] : undefined;
      if (addresses === undefined) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
      return addresses;
    },
  };
}

export interface HttpCall {
  readonly deps?: Partial<HttpBrokerDeps>;
  readonly scope?: Scope;
  readonly grant?: Partial<Grant<'http'>>;
}

/** Nobody is asked for a host. */
export const noRequests: HttpBrokerDeps['requests'] = { ask: async () => 'refused' };

/** One call of the op through the contract's own parser, as the host makes it. */
export async function callHttp(input: OpInput<'http', 'request'>, call: HttpCall): Promise<HttpAnswer> {
  const broker = createHttpBroker({
    vault: openVault(),
    journal: noJournal,
    requests: noRequests,
    ...call.deps,
  });
  const parsed = v.parse(capabilities.http.ops.request.input, input);
  return broker.request(call.scope ?? testScope(), parsed, httpGrant(call.grant));
}

export type Outcome =
  | { readonly status: number }
  | { readonly code: string; readonly message: string; readonly reason: unknown };

/** What came of a call: an answer's status, or the error's code, text and reason. Anything but a HostError is thrown on. */
export async function outcomeOf(work: Promise<HttpAnswer>): Promise<Outcome> {
  try {
    return { status: (await work).status };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const { code, message, data } = error.toWire();
    const reason = typeof data === 'object' && data !== null && 'reason' in data ? data.reason : undefined;
    return { code, message, reason };
  }
}

export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly address: string;
  /** Sockets that were opened to it. */
  connections(): number;
  readonly requests: IncomingMessage[];
}

async function started(server: Server, address: string, port: number): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const requests: IncomingMessage[] = [];
  let opened = 0;
  server.on('connection', (socket: Socket) => {
    opened += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  server.on('request', (request: IncomingMessage) => requests.push(request));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, resolve);
  });
  const bound = server.address() as AddressInfo;
  return {
    port: bound.port,
    address,
    requests,
    connections: () => opened,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export interface ServerPlace {
  readonly address?: string;
  readonly port?: number;
}

export async function httpServer(listener: RequestListener, place: ServerPlace = {}): Promise<TestServer> {
  return started(createServer(listener), place.address ?? '127.0.0.1', place.port ?? 0);
}

export async function httpsServer(listener: RequestListener): Promise<TestServer> {
  return started(createTlsServer({ cert: TEST_CERTIFICATE, key: TEST_KEY }, listener), '127.0.0.1', 0);
}

/** A server that speaks whatever the test writes. */
export async function rawServer(
  onSocket: (socket: Socket) => void,
  place: ServerPlace = {},
): Promise<TestServer> {
  return started(createTcpServer(onSocket), place.address ?? '127.0.0.1', place.port ?? 0);
}

/** Answers 200 with what it was sent. */
export function echo(request: IncomingMessage, response: ServerResponse): void {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts).toString('utf8');
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body }),
    );
  });
}

/** egressAllow for one loopback server. */
export function allowOnly(server: TestServer): Scope['egressAllow'] {
  const bits = server.address.includes(':') ? 128 : 32;
  return [{ cidr: `${server.address}/${bits}`, port: server.port }];
}
