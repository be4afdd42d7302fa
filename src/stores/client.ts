/**
 * A panel's way to a store: bounded in time and size, and to the operator's address only. Redirects are not followed: the operator named an
 * origin, and a store must not point us at another. A private address is reached only if the operator wrote the address itself
 * (or localhost), so that a store's name cannot come to mean a machine inside the operator's network.
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import {
  checkedAddresses,
  type EgressAllow,
  type Resolve,
  resolveBySystem,
} from '../brokers/http/addresses.ts';
import { exchange, ExchangeError, type RawAnswer } from '../brokers/http/exchange.ts';
import { FAILURES, failureReason } from '../brokers/http/failure.ts';
import { HTTP_LIMITS } from '../brokers/http/limits.ts';
import { parseTarget, type Target } from '../brokers/http/target.ts';
import { STORE_LIMITS } from './limits.ts';
import { type ModuleName, type RemoteEntry, RemoteList, RemoteModule, STORE_API } from './shape.ts';

export interface StoreClientDeps {
  readonly resolve?: Resolve | undefined;
  /** Narrower bounds, for tests. */
  readonly limits?: Partial<Record<keyof typeof STORE_LIMITS, number>>;
}

export interface StoreClient {
  /** Everything it offers, the newest version of each. */
  list(store: string): Promise<readonly RemoteEntry[]>;
  /** @throws HostError NOT_FOUND */
  module(store: string, name: ModuleName): Promise<RemoteModule>;
  /** The very bytes with this hash. @throws HostError HTTP_FAILED for any others */
  package(
    store: string,
    wanted: { readonly sha256: string; readonly size_bytes: number },
  ): Promise<Uint8Array>;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** The address as it is kept. @throws HostError BAD_INPUT for one that cannot be a store's */
export function storeAddress(text: string): string {
  const { url, scheme, host } = parseTarget(text.trim());
  if (url.search !== '') throw new HostError('BAD_INPUT', 'A store’s address has no “?…” at its end.');
  if (scheme === 'http' && !LOOPBACK.test(host))
    throw new HostError('BAD_INPUT', 'Use https: what a store says must not be changed on its way.');
  return url.href.replace(/\/+$/, '');
}

/** What the operator wrote as an address is meant as one; a name must lead to public addresses. */
function allowedFor({ host, port }: Target): EgressAllow {
  const literal = host.replace(/^\[|\]$/g, '');
  if (host === 'localhost') return ['127.0.0.1/32', '::1/128'].map((cidr) => ({ cidr, port }));
  const bits = { 4: 32, 6: 128 }[isIP(literal)];
  return bits === undefined ? [] : [{ cidr: `${literal}/${bits}`, port }];
}

/** How its faults begin. */
function named(store: string): string {
  return `The store ${new URL(store).host}`;
}

function away(store: string, text: string, cause?: unknown): HostError {
  return new HostError('HTTP_FAILED', `${named(store)}: ${text}`, { cause });
}

function asAway(store: string, error: unknown): HostError {
  const cause = error instanceof ExchangeError ? error.cause : error;
  if (!(cause instanceof HostError)) return away(store, `${FAILURES[failureReason(cause)]}.`, cause);
  if (cause.code === 'NOT_GRANTED')
    return away(
      store,
      'this name leads to a private address; if that is meant, give the address itself.',
      cause,
    );
  return away(store, cause.message.replace(/^http: /, ''), cause);
}

/** @throws HostError with what a person can do about it */
function refuseStatus(store: string, { status }: RawAnswer): void {
  if (status === 200) return;
  if (status >= 300 && status < 400)
    throw away(store, 'it redirects, which is not followed; give the address that it leads to.');
  if (status === 404)
    throw new HostError('NOT_FOUND', `${new URL(store).host} has no such thing, or is no store.`);
  if (status === 410) throw new HostError('CONFLICT', `${new URL(store).host} has taken this version back.`);
  if (status === 429)
    throw new HostError('LIMIT', `${new URL(store).host} is asked too often; try again in a minute.`);
  throw away(store, `it answered ${status}.`);
}

export function createStoreClient(deps: StoreClientDeps = {}): StoreClient {
  const limits = { ...STORE_LIMITS, ...deps.limits };

  async function get(store: string, path: string, bytes: number, totalMs: number): Promise<Buffer> {
    const target = parseTarget(`${store}${STORE_API}${path}`);
    const allow = allowedFor(target);
    try {
      const addresses = await checkedAddresses(target, allow, deps.resolve ?? resolveBySystem);
      const answer = await exchange(
        { target, method: 'GET', headers: [['accept-encoding', 'identity']], body: undefined, addresses },
        {
          allow,
          limits: {
            ...HTTP_LIMITS,
            connectMs: limits.connectMs,
            firstByteMs: totalMs,
            totalMs,
            responseBytes: bytes,
            wireBytes: bytes,
          },
          signal: AbortSignal.timeout(totalMs),
        },
      );
      refuseStatus(store, answer);
      return answer.body;
    } catch (error) {
      if (error instanceof HostError && ['NOT_FOUND', 'CONFLICT', 'LIMIT'].includes(error.code)) throw error;
      if (error instanceof ExchangeError && error.cause instanceof DOMException)
        throw away(store, `no complete answer within ${totalMs / 1_000} s.`, error);
      throw error instanceof HostError && error.message.startsWith(named(store))
        ? error
        : asAway(store, error);
    }
  }

  async function read<S extends v.GenericSchema>(
    store: string,
    path: string,
    schema: S,
  ): Promise<v.InferOutput<S>> {
    const bytes = await get(store, path, limits.jsonBytes, limits.jsonMs);
    let json: unknown;
    try {
      json = JSON.parse(bytes.toString('utf8'));
    } catch (error) {
      throw away(store, 'what it answers is no JSON; it is no store.', error);
    }
    const parsed = v.safeParse(schema, json);
    if (parsed.success) return parsed.output;
    const where = v.getDotPath(parsed.issues[0]) ?? 'the answer';
    throw away(store, `what it answers is not as agreed (${where}).`);
  }

  return {
    async list(store) {
      const found: RemoteEntry[] = [];
      for (let page: number | null = 1; page !== null && page <= limits.pages;) {
        const { modules, next }: v.InferOutput<typeof RemoteList> = await read(
          store,
          `/modules?page=${page}`,
          RemoteList,
        );
        found.push(...modules);
        page = next !== null && next > page ? next : null;
      }
      return found;
    },
    async module(store, { publisher, type, name }) {
      const module = await read(store, `/modules/${publisher}/${type}/${name}`, RemoteModule);
      if (module.publisher !== publisher || module.type !== type || module.name !== name)
        throw away(store, 'it answers with another module than the one asked for.');
      return module;
    },
    async package(store, { sha256, size_bytes }) {
      const bytes = await get(store, `/packages/${sha256}`, size_bytes, limits.packageMs);
      if (createHash('sha256').update(bytes).digest('hex') !== sha256)
        throw away(store, 'the package is not the one that it lists: its hash is another. Nothing was kept.');
      return bytes;
    },
  };
}
