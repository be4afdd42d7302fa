/** Who is signed in, an area at a time: a session of another kind or another tenant is nobody here. */
import type { Context, MiddlewareHandler } from 'hono';
import type { SignedIn } from '../auth/sessions.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { readSessionCookie } from './cookies.ts';
import type { AccountEnv, OperatorEnv } from './env.ts';
import { wantsJson } from './errors.ts';
import { changesState, checkCsrf } from './guard.ts';
import type { Panel } from './panel.ts';

/** The tenant’s admin or client behind this request’s cookie, or undefined. */
export async function findAccount(
  panel: Panel,
  c: Context,
  tenantId: string,
  area: 'admin' | 'client',
): Promise<SignedIn | undefined> {
  const token = readSessionCookie(c, area);
  const account = token === undefined ? undefined : await panel.deps.auth.sessions.find(token);
  const fits = account?.kind === area && account.tenantId === tenantId;
  return fits ? account : undefined;
}

function toSignIn(c: Context, signIn: string): Response {
  if (wantsJson(c) || changesState(c.req.method))
    throw new HostError('NOT_GRANTED', 'You are not signed in any more. Sign in and try again.');
  const url = new URL(c.req.url);
  const next = new URLSearchParams({ next: url.pathname + url.search });
  return c.redirect(`${signIn}?${next.toString()}`, 303);
}

/** Lets an area's own accounts pass, checks the CSRF token of what they send, and shows the others the sign-in. */
export function requireAccount(panel: Panel, area: 'admin' | 'client'): MiddlewareHandler<AccountEnv> {
  return async (c, next) => {
    const account = await findAccount(panel, c, c.get('tenant').id, area);
    if (account === undefined) return toSignIn(c, areaBase(c.get('tenantBase'), area) + '/sign-in');
    await checkCsrf(c.req.raw, account);
    c.set('account', account);
    c.set('area', area);
    await next();
    return undefined;
  };
}

export function requireOperator(panel: Panel): MiddlewareHandler<OperatorEnv> {
  return async (c, next) => {
    const token = readSessionCookie(c, 'operator');
    const account = token === undefined ? undefined : await panel.deps.auth.sessions.find(token);
    if (account?.kind !== 'operator') return toSignIn(c, `${panel.site.base}/operator/sign-in`);
    await checkCsrf(c.req.raw, account);
    c.set('account', account);
    await next();
    return undefined;
  };
}

/** URL path of an area's pages. */
export function areaBase(tenantBase: string, area: 'admin' | 'client'): string {
  return area === 'admin' ? `${tenantBase}/admin` : tenantBase;
}
