/**
 * net: whether a server answers. Host and port are checked against the grant; the name is resolved once, every address by the rules of http,
 * and the socket goes to an address that was checked. Nothing is written to it and nothing read from it.
 */
import { connect as connectTcp } from 'node:net';
import type { Grant } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { refusal } from '../../sandbox/contract/grant.ts';
import { parseHostPattern } from '../../sandbox/contract/host-pattern.ts';
import { allowsMailServer, type MailServer } from '../../sandbox/contract/mail-server.ts';
import type { Broker, Scope } from './broker.ts';
import type { HostRequests } from './host-requests.ts';
import { assertMayConnect, checkedAddresses, resolveBySystem, type Resolve } from './http/addresses.ts';
import { createRate } from './tasks-rate.ts';

export interface NetBrokerDeps {
  readonly requests: HostRequests;
  readonly resolve?: Resolve;
}

function failed(text: string, cause?: unknown): HostError {
  return new HostError('NET_FAILED', `net: ${text}`, { cause });
}

/** The server as the host itself reads it. @throws HostError BAD_INPUT */
export function serverOf(host: string, port: number): MailServer {
  const parsed = parseHostPattern(`${host}:${port}`);
  if (parsed === undefined || parsed.wildcard || /[:/]/.test(host.replace(/^\[.*\]$/, '')))
    throw new HostError('BAD_INPUT', 'net: the host is no valid host name or address.');
  return { host: parsed.host, port };
}

interface Attempt {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly scope: Scope;
  readonly timeoutMs: number;
  /** Whether a refused connection is an answer. */
  readonly refusedAnswers: boolean;
}

/** Milliseconds until the first address answered. @throws HostError NET_FAILED, TIMEOUT, NOT_GRANTED */
async function measure(attempt: Attempt): Promise<number> {
  const signal = AbortSignal.any([attempt.scope.signal, AbortSignal.timeout(attempt.timeoutMs)]);
  let last: unknown = failed('there is no address to connect to.');
  for (const address of attempt.addresses) {
    assertMayConnect(address, attempt.port, attempt.scope.egressAllow, 'net');
    try {
      return await open(address, attempt, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      last = error;
    }
  }
  throw last;
}

function open(
  address: string,
  { port, timeoutMs, refusedAnswers }: Attempt,
  signal: AbortSignal,
): Promise<number> {
  const startedAt = performance.now();
  const socket = connectTcp({ host: address, port });
  const answered = new Promise<number>((resolve, reject) => {
    const took = (): number => Math.round((performance.now() - startedAt) * 10) / 10;
    const stop = (): void => reject(new HostError('TIMEOUT', `net: no answer within ${timeoutMs} ms.`));
    socket.once('connect', () => resolve(took()));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' && refusedAnswers) resolve(took());
      else reject(failed(textOf(error.code), error));
    });
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  return answered.finally(() => {
    socket.on('error', () => undefined);
    socket.destroy();
  });
}

/** What may be said of a failure: no address, no text of the system's. */
function textOf(code: string | undefined): string {
  if (code === 'ECONNREFUSED') return 'the connection was refused.';
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'the host cannot be reached.';
  return 'the connection could not be made.';
}

export function createNetBroker({ requests, resolve = resolveBySystem }: NetBrokerDeps): Broker<'net'> {
  const rate = createRate(() => performance.now());
  const checkRate = (scope: Scope, grant: Grant<'net'>): void => {
    if (rate.allows(scope.installationId, grant.per_minute)) return;
    throw new HostError(
      'LIMIT',
      `net: more than ${grant.per_minute} connections a minute; wait, or ask for more in permissions.net.per_minute.`,
    );
  };
  /** @throws HostError NOT_GRANTED, or NET_FAILED where the name is unknown */
  const addressesOf = async (scope: Scope, server: MailServer): Promise<string[]> => {
    try {
      return await checkedAddresses(server, scope.egressAllow, resolve, 'net');
    } catch (error) {
      if (error instanceof HostError && error.code === 'HTTP_FAILED')
        throw failed('the host name is unknown.', error);
      throw error;
    }
  };
  const recorded = async (scope: Scope, op: string, server: MailServer, work: () => Promise<number>) => {
    const startedAt = performance.now();
    const record = (errorCode?: string): void =>
      scope.record({
        op: `net.${op}`,
        target: `${server.host}:${server.port}`,
        durationMs: performance.now() - startedAt,
        ...(errorCode === undefined ? {} : { errorCode }),
      });
    try {
      const ms = await work();
      record();
      return { ms };
    } catch (error) {
      record(error instanceof HostError ? error.code : 'INTERNAL');
      throw error;
    }
  };

  return {
    connect: async (scope, { host, port, timeoutMs }, grant) => {
      const server = serverOf(host, port);
      return recorded(scope, 'connect', server, async () => {
        const pattern = grant.hosts.find((text) => allowsMailServer(text, server, scope.settings));
        if (pattern === undefined) throw refusal('net', `${server.host}:${port}`, 'net.hosts');
        checkRate(scope, grant);
        scope.used(`net.hosts:${pattern}`);
        const addresses = await addressesOf(scope, server);
        return measure({ addresses, port, scope, timeoutMs, refusedAnswers: false });
      });
    },

    ping: async (scope, { host, timeoutMs }, grant) => {
      const { host: name } = serverOf(host, 1);
      const granted = grant.hosts.flatMap((text) => portOf(text, name, scope));
      const server = { host: name, port: granted[0] ?? 0 };
      return recorded(scope, 'ping', server, async () => {
        if (!grant.ping) throw refusal('net', 'pinging', 'net.ping');
        if (server.port === 0) throw refusal('net', name, 'net.hosts');
        checkRate(scope, grant);
        scope.used('net.ping');
        const addresses = await addressesOf(scope, server);
        return measure({ addresses, port: server.port, scope, timeoutMs, refusedAnswers: true });
      });
    },

    requestHost: async (scope, { host, port }) => {
      const server = serverOf(host, port);
      return { status: await requests.ask(scope, 'net', `${server.host}:${port}`) };
    },
  };
}

/** The port that a granted pattern names for a host, if it names the host at all. */
function portOf(pattern: string, host: string, scope: Scope): number[] {
  const text = /:(\d{1,5})$/.exec(pattern)?.[1];
  const port = Number(text ?? 0);
  return port > 0 && allowsMailServer(pattern, { host, port }, scope.settings) ? [port] : [];
}
