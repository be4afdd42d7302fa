/**
 * The way back in and the second half of a sign-in: a code after the password, and a link by mail to a new password. What these pages
 * answer never tells whether an account exists: the mail is sent behind the answer's back.
 */
import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { confirmAccount } from '../auth/accounts.ts';
import { senderKey } from '../auth/addresses.ts';
import { AUTH_LIMITS } from '../auth/limits.ts';
import { passwordFault } from '../auth/password.ts';
import { countTries } from '../auth/tries.ts';
import { writeSessionCookie } from './cookies.ts';
import type { RootEnv } from './env.ts';
import { checkForm } from './forms.ts';
import { ownPath } from './language.ts';
import { accountBehindLink } from './link-account.ts';
import { withNote } from './notes.ts';
import { plainPage, type Panel } from './panel.ts';
import { requestIdOf } from './request-id.ts';
import type { SignInArea } from './sign-in-pages.ts';

const CodeForm = v.object({
  token: v.pipe(v.string(), v.maxLength(100)),
  code: v.pipe(v.string(), v.maxLength(40)),
  next: v.optional(v.string(), ''),
});
const ForgotForm = v.object({ email: v.pipe(v.string(), v.trim(), v.toLowerCase(), v.maxLength(254)) });
const ResetForm = v.object({ password: v.string(), again: v.string() });

type AreaOf<E extends RootEnv> = (c: Context<E>) => SignInArea;

/** The page after a right password where an account has a second factor. */
export function codePage<E extends RootEnv>(
  panel: Panel,
  c: Context<E>,
  area: SignInArea,
  form: { readonly token: string; readonly next: string; readonly refused?: string },
): Promise<Response> {
  const data = {
    title: c.get('t')('layout.code_title'),
    ...area,
    home: area.base,
    action: `${area.base}/sign-in/code`,
    ...form,
  };
  return plainPage(panel, c, 'layout/code', data, form.refused === undefined ? 200 : 401);
}

export function recoveryPages<E extends RootEnv>(app: Hono<E>, panel: Panel, areaOf: AreaOf<E>): void {
  if (panel.deps.auth.external !== undefined) return;
  codePages(app, panel, areaOf);
  forgotPages(app, panel, areaOf);
  resetPages(app, panel, areaOf);
}

function codePages<E extends RootEnv>(app: Hono<E>, panel: Panel, areaOf: AreaOf<E>): void {
  app.post('/sign-in/code', async (c) => {
    const area = areaOf(c);
    const form = await checkForm(c, CodeForm);
    if (!form.ok) return c.redirect(`${area.base}/sign-in`, 303);
    const { token, code, next } = form.value;
    const result = await panel.deps.auth.finishSignIn({
      token,
      code,
      address: c.get('address'),
      userAgent: c.req.header('user-agent') ?? '',
    });
    if (!result.ok)
      return codePage(panel, c, area, { token, next, refused: c.get('t')('layout.code_wrong') });
    const scope = { area: area.kind, path: area.cookiePath, secure: panel.site.secure };
    writeSessionCookie(c, scope, result.token);
    return c.redirect(ownPath(next, area.base), 303);
  });
}

function forgotPages<E extends RootEnv>(app: Hono<E>, panel: Panel, areaOf: AreaOf<E>): void {
  const { db, auth, now } = panel.deps;
  const byEmail = countTries(db, { of: 'link to', tries: AUTH_LIMITS.resetsPerEmail });
  const bySender = countTries(db, { of: 'link from', tries: AUTH_LIMITS.resetsPerSender });
  const page = (c: Context<E>, sent: boolean) => {
    const area = areaOf(c);
    const data = {
      title: c.get('t')('layout.forgot_title'),
      ...area,
      home: area.base,
      mail: panel.deps.mail !== undefined,
      sent,
    };
    return plainPage(panel, c, 'layout/forgot', data);
  };

  async function sendLink(area: SignInArea, email: string, c: Context<E>): Promise<void> {
    const account = await db
      .selectFrom('accounts')
      .select(['id', 'email'])
      .where('kind', '=', area.kind)
      .where('tenant_id', 'is not distinct from', area.tenantId)
      .where('email', '=', email)
      .where('disabled_at', 'is', null)
      .executeTakeFirst();
    if (account === undefined) return;
    const token = await auth.links.create(account.id, 'password_reset');
    // A host that is not ours never comes so far (app.ts): the link leads here and nowhere else.
    const link = `${c.get('origin')}${area.base}/reset/${token}`;
    const t = c.get('t');
    await panel.deps.mail?.send({
      to: account.email,
      subject: t('layout.reset_subject', { brand: area.brand }),
      text: t('layout.reset_mail', { brand: area.brand, link, hours: AUTH_LIMITS.resetLinkMs / 3_600_000 }),
    });
  }

  app.get('/forgot', (c) => page(c, false));
  app.post('/forgot', async (c) => {
    const area = areaOf(c);
    const form = await checkForm(c, ForgotForm);
    const sender = senderKey(c.get('address'));
    if ((await bySender.take(sender, now())).waitMs > 0)
      throw new HostError('LIMIT', 'Too many links were asked for; try again in some minutes.');
    const key = form.ok ? `${area.kind}|${area.tenantId ?? ''}|${form.value.email}` : '';
    if (form.ok && panel.deps.mail !== undefined && (await byEmail.take(key, now())).waitMs === 0) {
      // Not waited for: how long it takes would tell whether there is such an account.
      void sendLink(area, form.value.email, c).catch((error: unknown) =>
        panel.deps.reportError(error, { id: requestIdOf(c), method: 'POST', path: '/forgot' }),
      );
    }
    return page(c, panel.deps.mail !== undefined);
  });
}

function resetPages<E extends RootEnv>(app: Hono<E>, panel: Panel, areaOf: AreaOf<E>): void {
  const { auth, db } = panel.deps;
  const page = (c: Context<E>, wrong?: string) => {
    // The token stands in the address: no other page may learn it.
    c.header('Referrer-Policy', 'same-origin');
    const data = { title: c.get('t')('layout.reset_title'), ...areaOf(c), wrong };
    return plainPage(panel, c, 'layout/reset', data, wrong === undefined ? 200 : 422);
  };
  /** @throws NOT_FOUND for a token that works no more, or for another area's account */
  const accountBehind = async (c: Context<E>): Promise<string> => {
    const area = areaOf(c);
    const { kind, tenantId } = area;
    const of = { purpose: 'password_reset', kind, tenantId } as const;
    const account = await accountBehindLink(panel, c.req.param('token') ?? '', of);
    if (account === undefined) throw new HostError('NOT_FOUND', c.get('t')('layout.reset_too_old'));
    return account.id;
  };

  app.get('/reset/:token', async (c) => {
    await accountBehind(c);
    return page(c);
  });
  app.post('/reset/:token', async (c) => {
    await accountBehind(c);
    const form = await checkForm(c, ResetForm);
    if (!form.ok || form.value.password !== form.value.again)
      return page(c, c.get('t')('layout.not_the_same'));
    const fault = passwordFault(form.value.password);
    if (fault !== undefined) return page(c, fault);
    const accountId = await auth.links.use(c.req.param('token') ?? '', 'password_reset');
    if (accountId === undefined) throw new HostError('NOT_FOUND', c.get('t')('layout.reset_too_old'));
    await auth.setPassword(accountId, form.value.password);
    // Whoever has the link has the address.
    await confirmAccount(db, accountId);
    return c.redirect(withNote(`${areaOf(c).base}/sign-in`, 'password-reset'), 303);
  });
}
