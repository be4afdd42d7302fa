/**
 * Where the panel lives: its public address, the base path it is mounted under, and the hosts it answers to. A tenant is found by
 * `/t/{slug}` or by a host of its own, `{slug}.{public host}`. Any other Host is refused: a name that an attacker points at this
 * server must not become a second origin of the panel.
 */
const SLUG = /^[a-z][a-z0-9-]{1,30}$/;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);
/** Paths that are the same on every host: no tenant is put before them. */
const SHARED = /^\/(?:static|hooks|language)\/|^\/m\/[^/]+\/assets\/|^\/healthz$/;

/** The parts of a request's address that are asked for with each request. */
export type Address = Pick<URL, 'host' | 'pathname'>;

/** @param url as a Request has it: absolute, and written the way URL writes it, so that its parts need not be looked for anew */
export function addressOf(url: string): Address {
  const hostAt = url.indexOf('//') + 2;
  const pathAt = url.indexOf('/', hostAt);
  const end = url.slice(pathAt).search(/[?#]/);
  return {
    host: url.slice(hostAt, pathAt),
    pathname: end < 0 ? url.slice(pathAt) : url.slice(pathAt, pathAt + end),
  };
}

/** '?a=b' or ''. */
export function searchOf(url: string): string {
  const at = url.indexOf('?');
  const fragmentAt = url.indexOf('#');
  return at < 0 || (fragmentAt >= 0 && fragmentAt < at)
    ? ''
    : url.slice(at, fragmentAt < 0 ? undefined : fragmentAt);
}

export interface Site {
  /** '' or '/hosting', never with a slash at its end. */
  readonly base: string;
  readonly secure: boolean;
  /** The origin a browser sees for this Host, or undefined if we do not answer to it. */
  originOf(host: string): string | undefined;
  /** The tenant's slug if the host is a tenant's own. */
  tenantOf(host: string): string | undefined;
  /** The path a browser sees: with the base, also where a foreign app's mount() took it off the request. */
  seenPath(url: Address): string;
  /** The path our routes see: without the base, with the tenant that the host means put in front. */
  routePath(url: Address): string;
}

/** @param publicUrl absolute; what stands in WebDeps.publicUrl */
export function siteAt(publicUrl: string): Site {
  const url = new URL(publicUrl);
  const base = url.pathname.replace(/\/+$/, '');
  const suffix = `.${url.host}`;
  const loopback = LOOPBACK.has(url.hostname);
  const withoutBase = (path: string): string =>
    base !== '' && (path === base || path.startsWith(`${base}/`)) ? path.slice(base.length) || '/' : path;
  const tenantOf = (host: string): string | undefined => {
    const slug = host.endsWith(suffix) ? host.slice(0, -suffix.length) : '';
    return SLUG.test(slug) ? slug : undefined;
  };
  const known = (host: string): boolean => {
    if (host === url.host || tenantOf(host) !== undefined) return true;
    const other = URL.parse(`${url.protocol}//${host}`);
    return loopback && other !== null && LOOPBACK.has(other.hostname) && other.port === url.port;
  };
  return {
    base,
    secure: url.protocol === 'https:',
    tenantOf,
    originOf: (host) => (known(host) ? `${url.protocol}//${host}` : undefined),
    seenPath: (request) => base + withoutBase(request.pathname),
    routePath(request) {
      const path = withoutBase(request.pathname);
      const slug = tenantOf(request.host);
      return slug === undefined || SHARED.test(path) ? path : `/t/${slug}${path === '/' ? '' : path}`;
    },
  };
}
