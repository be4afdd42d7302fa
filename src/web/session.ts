/** Who is signed in, an area at a time: a session of another kind or another tenant is nobody here. */
import type { Context, MiddlewareHandler } from 'hono';
import type { SignedIn } from '../auth/sessions.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { readSessionCookie } from './cookies.ts';
import type { AccountEnv, Area, OperatorEnv } from './env.ts';
import { wantsJson } from './errors.ts';
import { changesState, checkCsrf } from './guard.ts';
import { setLanguage } from './language.ts';
import type { Panel } from './panel.ts';

/** The account behind a request, or undefined: by an embedder's own sign-in, else by the area's cookie. */
async function findSignedIn(
  panel: Panel,
  c: Context,
  tenantId: string | null,
  area: Area,
): Promise<SignedIn | undefined> {
  const { external, sessions } = panel.deps.auth;
  if (external !== undefined) return external.find(c.req.raw, { kind: area, tenantId });
  const token = readSessionCookie(c, area);
  const account = token === undefined ? undefined : await sessions.find(token);
  const fits = account?.kind === area && account.tenantId === tenantId;
  return fits ? account : undefined;
}

/** The tenant’s admin or client behind this request, or undefined. */
export function findAccount(
  panel: Panel,
  c: Context,
  tenantId: string,
  area: 'admin' | 'client',
): Promise<SignedIn | undefined> {
  return findSignedIn(panel, c, tenantId, area);
}

function toSignIn(panel: Panel, c: Context, signIn: string): Response {
  if (wantsJson(c) || changesState(c.req.method))
    throw new HostError('NOT_GRANTED', 'You are not signed in any more. Sign in and try again.');
  const url = new URL(c.req.url);
  const returnTo = panel.site.seenPath(url) + url.search;
  const { external } = panel.deps.auth;
  if (external !== undefined) return c.redirect(external.signInUrl(returnTo), 303);
  return c.redirect(`${signIn}?${new URLSearchParams({ next: returnTo }).toString()}`, 303);
}

/** Lets an area's own accounts pass, checks the CSRF token of what they send, and shows the others the sign-in. */
export function requireAccount(panel: Panel, area: 'admin' | 'client'): MiddlewareHandler<AccountEnv> {
  return async (c, next) => {
    const account = await findAccount(panel, c, c.get('tenant').id, area);
    if (account === undefined) return toSignIn(panel, c, areaBase(c.get('tenantBase'), area) + '/sign-in');
    await checkCsrf(c.req.raw, account);
    c.set('account', account);
    c.set('area', area);
    setLanguage(c, { tenantLocale: c.get('tenant').locale, accountLocale: account.locale });
    await next();
    return undefined;
  };
}

export function requireOperator(panel: Panel): MiddlewareHandler<OperatorEnv> {
  return async (c, next) => {
    const account = await findSignedIn(panel, c, null, 'operator');
    if (account === undefined) return toSignIn(panel, c, `${panel.site.base}/operator/sign-in`);
    await checkCsrf(c.req.raw, account);
    c.set('account', account);
    setLanguage(c, { accountLocale: account.locale });
    await next();
    return undefined;
  };
}

/** URL path of an area's pages. */
export function areaBase(tenantBase: string, area: 'admin' | 'client'): string {
  return area === 'admin' ? `${tenantBase}/admin` : tenantBase;
}
