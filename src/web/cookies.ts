/** One session cookie an area, so that an operator, an admin and a client may be signed in side by side in one browser. */
import type { Context } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { AUTH_LIMITS } from '../auth/limits.ts';
import type { Area } from './env.ts';

const LANGUAGE_SECONDS = 365 * 24 * 60 * 60;
export const COOKIE_NAMES = { operator: 'bh_operator', admin: 'bh_admin', client: 'bh_client' } as const;

interface CookieScope {
  readonly area: Area;
  /** The path it is sent to: the tenant's, or the operator's. */
  readonly path: string;
  readonly secure: boolean;
}

function options(scope: CookieScope) {
  return {
    path: scope.path === '' ? '/' : scope.path,
    httpOnly: true,
    sameSite: 'Lax',
    secure: scope.secure,
  } as const;
}

interface Cookie {
  readonly name: string;
  /** As browsers send it back, without anything that would have to be decoded. */
  readonly plain: RegExp;
}

function cookie(name: string): Cookie {
  return { name, plain: new RegExp(`(?:^|; )${name}=([\\w-]+)(?:;|$)`) };
}

/** Each request asks for cookies that it mostly does not have: then the header is searched and not read apart. */
function readCookie(c: Context, { name, plain }: Cookie): string | undefined {
  const header = c.req.header('cookie');
  if (header?.includes(name) !== true) return undefined;
  return plain.exec(header)?.[1] ?? getCookie(c, name);
}

const SESSION_COOKIES = {
  operator: cookie(COOKIE_NAMES.operator),
  admin: cookie(COOKIE_NAMES.admin),
  client: cookie(COOKIE_NAMES.client),
};

export function readSessionCookie(c: Context, area: Area): string | undefined {
  return readCookie(c, SESSION_COOKIES[area]);
}

export function writeSessionCookie(c: Context, scope: CookieScope, token: string): void {
  const maxAge = AUTH_LIMITS.sessionTotalMs / 1_000;
  setCookie(c, COOKIE_NAMES[scope.area], token, { ...options(scope), maxAge });
}

export function clearSessionCookie(c: Context, scope: CookieScope): void {
  deleteCookie(c, COOKIE_NAMES[scope.area], options(scope));
}

const LANGUAGE_COOKIE = cookie('bh_lang');

/** The language somebody chose who was not signed in, or whose choice is younger than their account's row here. */
export function readLanguageCookie(c: Context): string | undefined {
  return readCookie(c, LANGUAGE_COOKIE);
}

export function writeLanguageCookie(
  c: Context,
  language: string,
  site: { base: string; secure: boolean },
): void {
  setCookie(c, LANGUAGE_COOKIE.name, language, {
    path: site.base === '' ? '/' : site.base,
    httpOnly: true,
    sameSite: 'Lax',
    secure: site.secure,
    maxAge: LANGUAGE_SECONDS,
  });
}
