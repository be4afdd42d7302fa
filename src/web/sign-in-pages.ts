/** The sign-in and sign-out of one area; the three areas differ in their accounts, their cookie and where they lead. */
import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import type { AccountKind } from '../auth/accounts.ts';
import { clearSessionCookie, readSessionCookie, writeSessionCookie } from './cookies.ts';
import { checkForm } from './forms.ts';
import { checkCsrf } from './guard.ts';
import { ownPath } from './language.ts';
import { codePage, recoveryPages } from './recovery-pages.ts';
import { withNote } from './notes.ts';
import { plainPage, type Panel } from './panel.ts';
import type { RootEnv } from './env.ts';

export interface SignInArea {
  readonly kind: AccountKind;
  readonly heading: string;
  readonly brand: string;
  readonly brandIcon: string;
  /** Null for operators. */
  readonly tenantId: string | null;
  /** URL path of the area: where a sign-in leads. */
  readonly base: string;
  /** Path the cookie is sent to. */
  readonly cookiePath: string;
  /** Where a client may make an account, if the tenant lets them. */
  readonly register?: (panel: Panel) => Promise<string | undefined>;
  /** What whoever has not confirmed their address sees; only clients make accounts themselves. */
  readonly unconfirmed?: (accountId: string) => Promise<Response>;
  readonly others?: readonly { readonly href: string; readonly title: string }[];
}

const SignInForm = v.object({
  email: v.pipe(v.string(), v.maxLength(300)),
  password: v.pipe(v.string(), v.maxLength(2_000)),
  next: v.optional(v.string(), ''),
});
const MINUTE_MS = 60_000;

/** @param areaOf what is known of the area once the tenant is */
export function signInPages<E extends RootEnv>(
  app: Hono<E>,
  panel: Panel,
  areaOf: (c: Context<E>) => SignInArea,
): void {
  const page = async (
    c: Context<E>,
    extra: { email?: string; next?: string; refused?: string },
    status: 200 | 401 | 429,
  ) => {
    const area = areaOf(c);
    const register = await area.register?.(panel);
    const mails = register !== undefined && panel.deps.mail !== undefined;
    const data = {
      title: c.get('t')('layout.sign_in'),
      ...area,
      register,
      // Whoever makes an account here has an address to confirm.
      confirmAgain: mails ? `${area.base}/confirm` : undefined,
      forgot: `${area.base}/forgot`,
      action: `${area.base}/sign-in`,
      ...extra,
    };
    return plainPage(panel, c, 'layout/sign-in', data, status);
  };

  const { external } = panel.deps.auth;
  recoveryPages(app, panel, areaOf);

  app.get('/sign-in', async (c) => {
    if (external !== undefined) return c.redirect(external.signInUrl(areaOf(c).base), 303);
    return page(c, { next: c.req.query('next') ?? '' }, 200);
  });

  app.post('/sign-in', async (c) => {
    const area = areaOf(c);
    const form = await checkForm(c, SignInForm);
    if (!form.ok) return page(c, { refused: c.get('t')('layout.enter_both') }, 401);
    const { email, password, next } = form.value;
    const result = await panel.deps.auth.signIn({
      kind: area.kind,
      tenantId: area.tenantId,
      email,
      password,
      address: c.get('address'),
      userAgent: c.req.header('user-agent') ?? '',
    });
    if (result.ok) {
      writeSessionCookie(
        c,
        { area: area.kind, path: area.cookiePath, secure: panel.site.secure },
        result.token,
      );
      return c.redirect(ownPath(next, area.base), 303);
    }
    if (result.reason === 'second_factor') return codePage(panel, c, area, { token: result.token, next });
    const unconfirmed = result.reason === 'unconfirmed' ? area.unconfirmed : undefined;
    if (result.reason === 'unconfirmed' && unconfirmed !== undefined) return unconfirmed(result.accountId);
    if (result.reason !== 'too_many')
      return page(c, { email, next, refused: c.get('t')('layout.refused') }, 401);
    const minutes = Math.ceil(result.waitMs / MINUTE_MS);
    c.header('Retry-After', String(Math.ceil(result.waitMs / 1_000)));
    return page(c, { email, next, refused: c.get('t')('layout.too_many', { n: minutes }) }, 429);
  });

  app.post('/sign-out', async (c) => {
    // Whose session it is, its app knows how to end.
    if (external !== undefined) return c.redirect(external.signOutUrl, 303);
    const area = areaOf(c);
    const token = readSessionCookie(c, area.kind);
    const account = token === undefined ? undefined : await panel.deps.auth.sessions.find(token);
    if (account !== undefined) {
      await checkCsrf(c.req.raw, account);
      await panel.deps.auth.signOut(account);
    }
    clearSessionCookie(c, { area: area.kind, path: area.cookiePath, secure: panel.site.secure });
    return c.redirect(withNote(`${area.base}/sign-in`, 'signed-out'), 303);
  });
}
