/**
 * Where a PostgreSQL is, in one shape. Three clients need it (postgres.js for us, `pg` inside graphile-worker, psql for
 * people) and each spells a Unix socket differently, so the URL is parsed once here and rendered for each of them.
 * `postgres://user:password@localhost/database?host=/directory&port=5432` is the form all of them can read back.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';

import { HostError } from '../../sandbox/contract/envelope.ts';

/** `host` is a name or address, or the absolute directory of a Unix socket (it then begins with `/`). */
export interface PgEndpoint {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls?: PgTls;
}

/** Absent means no TLS. `verify: false` encrypts without looking at the certificate (sslmode=require). */
export interface PgTls {
  readonly verify: boolean;
  readonly caFile?: string;
}

const DEFAULT_PORT = 5432;
const KNOWN_PARAMETERS = new Set(['host', 'port', 'sslmode', 'sslrootcert']);

function refuse(reason: string): HostError {
  return new HostError(
    'BAD_INPUT',
    `DATABASE_URL ${reason}. Expected postgres://user:password@host:5432/database, with optional ?sslmode=disable|require|verify-full, sslrootcert=/file, host=/socket/directory.`,
  );
}

function parseUrl(text: string): URL {
  // libpq allows credentials with an empty host, `u:p@/db?host=…`; the URL standard does not.
  const url = URL.parse(text.replace(/^(postgres(?:ql)?:\/\/[^/?#]*@)(?=[/?]|$)/, '$1localhost'));
  if (url === null || !/^postgres(?:ql)?:$/.test(url.protocol)) throw refuse('is not a PostgreSQL address');
  return url;
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse(`has a % in its ${part} that starts no escape: write it as %25`);
  }
}

function tlsOf(url: URL): PgTls | undefined {
  const mode = url.searchParams.get('sslmode') ?? 'disable';
  const caFile = url.searchParams.get('sslrootcert');
  if (mode === 'disable') return undefined;
  if (mode === 'require' && caFile === null) return { verify: false };
  if (mode === 'require' || mode === 'verify-full') {
    return caFile === null || caFile === 'system' ? { verify: true } : { verify: true, caFile };
  }
  throw refuse(`asks for sslmode=${mode}, which could fall back to an open connection`);
}

/**
 * Reads a DATABASE_URL. Refuses what it does not understand instead of dropping it: a forgotten `sslmode` is worse than
 * an error at start. Never repeats the URL in an error, since it holds the password.
 * @throws HostError BAD_INPUT
 */
export function parseEndpoint(text: string): PgEndpoint {
  const url = parseUrl(text);
  for (const name of url.searchParams.keys()) {
    if (!KNOWN_PARAMETERS.has(name)) throw refuse(`has the parameter "${name}", which is not supported`);
  }
  const port = Number(url.searchParams.get('port') ?? (url.port === '' ? DEFAULT_PORT : url.port));
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw refuse('has no valid port');
  const user = decode(url.username, 'user name');
  const database = decode(url.pathname.slice(1), 'database name');
  if (user === '') throw refuse('names no user');
  if (database === '' || database.includes('/')) throw refuse('names no database');
  const hostname = decode(url.hostname, 'host').replace(/^\[(.*)\]$/, '$1');
  const host = url.searchParams.get('host') ?? (hostname === '' ? 'localhost' : hostname);
  const tls = tlsOf(url);
  const endpoint = { host, port, user, password: decode(url.password, 'password'), database };
  return tls === undefined ? endpoint : { ...endpoint, tls };
}

export function isUnixSocket(endpoint: PgEndpoint): boolean {
  return endpoint.host.startsWith('/');
}

/** The endpoint as a URL that parseEndpoint, libpq (psql) and `pg` read alike. It holds the password: not for logs. */
export function formatEndpoint(endpoint: PgEndpoint): string {
  const url = new URL('postgres://localhost');
  url.username = encodeURIComponent(endpoint.user);
  url.password = encodeURIComponent(endpoint.password);
  url.pathname = `/${encodeURIComponent(endpoint.database)}`;
  if (isUnixSocket(endpoint)) {
    url.searchParams.set('host', endpoint.host);
    url.searchParams.set('port', String(endpoint.port));
  } else {
    url.hostname = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
    url.port = String(endpoint.port);
  }
  if (endpoint.tls !== undefined) {
    url.searchParams.set('sslmode', endpoint.tls.verify ? 'verify-full' : 'require');
    if (endpoint.tls.caFile !== undefined) url.searchParams.set('sslrootcert', endpoint.tls.caFile);
  }
  return url.href;
}

/** The endpoint without its password, for a log or an error. */
export function describeEndpoint(endpoint: PgEndpoint): string {
  return `${endpoint.user}@${endpoint.host}:${endpoint.port}/${endpoint.database}`;
}

/** For `tls.connect`; false where the endpoint wants no TLS. */
export function tlsOptions(endpoint: PgEndpoint): ConnectionOptions | false {
  if (endpoint.tls === undefined || isUnixSocket(endpoint)) return false;
  const { verify, caFile } = endpoint.tls;
  return caFile === undefined
    ? { rejectUnauthorized: verify }
    : { rejectUnauthorized: verify, ca: readFileSync(caFile, 'utf8') };
}

interface Address {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  ssl: ConnectionOptions | false;
}

function address(endpoint: PgEndpoint): Address {
  const { host, port, user, password, database } = endpoint;
  return { host, port, user, password, database, ssl: tlsOptions(endpoint) };
}

/**
 * Options for `postgres(…)`. The socket goes in as `path`, because postgres.js splits `host` at commas and colons.
 * Everything is said, so that no PG* variable of the environment is taken instead.
 */
export function forPostgresJs(endpoint: PgEndpoint): Address & { path?: string } {
  const options = address(endpoint);
  if (!isUnixSocket(endpoint)) return options;
  return { ...options, host: 'localhost', path: join(endpoint.host, `.s.PGSQL.${endpoint.port}`) };
}

/** Options for `new pg.Pool(…)` and `new pg.Client(…)`. */
export function forPg(endpoint: PgEndpoint): Address {
  return address(endpoint);
}
