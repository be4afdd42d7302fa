/**
 * Two independent locks on everything that changes state with a cookie: the request comes from a page of this very origin
 * (Origin, Sec-Fetch-Site), and it carries the session's CSRF token. `Origin: null` is refused by name: it is what a sandboxed
 * module frame, and every data: page, sends.
 */
import type { MiddlewareHandler } from 'hono';
import type { SignedIn } from '../auth/sessions.ts';
import { sameText } from '../auth/tokens.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { RootEnv } from './env.ts';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
export const CSRF_FIELD = '_csrf';
export const CSRF_HEADER = 'x-csrf-token';

export function changesState(method: string): boolean {
  return !SAFE_METHODS.has(method);
}

function refuse(why: string): HostError {
  return new HostError('NOT_GRANTED', `This request was refused: ${why}. Open the page anew and try again.`);
}

/** Refuses a state-changing request that does not come from a page of ours. @throws NOT_GRANTED */
export const sameOriginOnly: MiddlewareHandler<RootEnv> = (c, next) => {
  if (changesState(c.req.method)) {
    const origin = c.req.header('origin');
    const site = c.req.header('sec-fetch-site');
    if (origin !== undefined && origin !== c.get('origin')) throw refuse('it comes from another site');
    if (site !== undefined && site !== 'same-origin') throw refuse('it comes from another site');
    if (origin === undefined && site === undefined) throw refuse('it does not say where it comes from');
  }
  return next();
};

/** Compares the token of a form or header with the session's. @throws NOT_GRANTED */
export async function checkCsrf(request: Request, account: SignedIn): Promise<void> {
  if (!changesState(request.method)) return;
  const header = request.headers.get(CSRF_HEADER);
  const given = header ?? (await formToken(request));
  if (given === undefined || !sameText(given, account.csrfToken)) throw refuse('its form is too old');
}

async function formToken(request: Request): Promise<string | undefined> {
  const type = request.headers.get('content-type') ?? '';
  if (!/^(?:application\/x-www-form-urlencoded|multipart\/form-data)\b/.test(type)) return undefined;
  const form = await request
    .clone()
    .formData()
    .catch(() => undefined);
  const value = form?.get(CSRF_FIELD);
  return typeof value === 'string' ? value : undefined;
}
