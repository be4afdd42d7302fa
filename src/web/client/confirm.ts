/**
 * Confirming the address of whoever registered: a link by mail leads to a page with a button. The link alone does nothing, since mail
 * servers open links by themselves. It is sent again to whoever signs in, whoever asks for it by address (which learns nothing of
 * whether there is such an account), and on behalf of the tenant's admin.
 */
import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { senderKey } from '../../auth/addresses.ts';
import { AUTH_LIMITS } from '../../auth/limits.ts';
import { countTries } from '../../auth/tries.ts';
import type { TenantEnv } from '../env.ts';
import { checkForm } from '../forms.ts';
import { type Lang, languageFor, languageOf } from '../lang/languages.ts';
import { translators } from '../lang/texts.ts';
import { accountBehindLink } from '../link-account.ts';
import { withNote } from '../notes.ts';
import { plainPage, type Panel } from '../panel.ts';
import { requestIdOf } from '../request-id.ts';

const HOUR_MS = 3_600_000;

const AgainForm = v.object({ email: v.pipe(v.string(), v.trim(), v.toLowerCase(), v.maxLength(254)) });

/** What is known of the request where a link is to be sent. */
interface Asked {
  readonly tenant: { readonly id: string; readonly name: string; readonly locale: string };
  readonly origin: string;
  readonly tenantBase: string;
  /** Of the reader, where it is they who ask. */
  readonly lang?: Lang;
}

/** Sends a link, so often for an account and no more, and says where to look. */
export async function askToConfirm(
  panel: Panel,
  c: Context<TenantEnv>,
  accountId: string,
): Promise<Response> {
  const sent = await sendConfirmation(panel, c.var, accountId);
  return page(panel, c, { unsent: sent === 'no_mail' });
}

/** @returns 'too_often' where so many went to this account just now that no other does */
export async function sendConfirmation(
  { deps: { auth, db, mail, now } }: Panel,
  { tenant, origin, tenantBase, lang }: Asked,
  accountId: string,
): Promise<'sent' | 'no_mail' | 'too_often'> {
  if (mail === undefined) return 'no_mail';
  const tries = countTries(db, { of: 'confirmation of', tries: AUTH_LIMITS.resetsPerEmail });
  if ((await tries.take(accountId, now())).waitMs > 0) return 'too_often';
  const account = await db
    .selectFrom('accounts')
    .select(['email', 'locale'])
    .where('id', '=', accountId)
    .where('tenant_id', '=', tenant.id)
    .executeTakeFirstOrThrow();
  const token = await auth.links.create(accountId, 'confirm_email');
  const brand = tenant.name;
  const chosen = languageOf(account.locale) ?? lang;
  const t = translators[languageFor({ chosen, tenantLocale: tenant.locale })];
  await mail.send({
    to: account.email,
    subject: t('layout.confirm_subject', { brand }),
    text: t('layout.confirm_mail', {
      brand,
      // A host that is not ours never comes so far (app.ts): the link leads here and nowhere else.
      link: `${origin}${tenantBase}/confirm/${token}`,
      hours: AUTH_LIMITS.confirmLinkMs / HOUR_MS,
    }),
  });
  return 'sent';
}

async function sendAgain(panel: Panel, asked: Asked, email: string): Promise<void> {
  const account = await panel.deps.db
    .selectFrom('accounts')
    .select('id')
    .where('tenant_id', '=', asked.tenant.id)
    .where('kind', '=', 'client')
    .where('email', '=', email)
    .where('unconfirmed_since', 'is not', null)
    .where('disabled_at', 'is', null)
    .executeTakeFirst();
  if (account !== undefined) await sendConfirmation(panel, asked, account.id);
}

function page(
  panel: Panel,
  c: Context<TenantEnv>,
  data: {
    readonly action?: string;
    readonly unsent?: boolean;
    readonly again?: string;
    readonly mayBeSent?: boolean;
  },
): Promise<Response> {
  // The token stands in the address: no other page may learn it.
  c.header('Referrer-Policy', 'same-origin');
  return plainPage(panel, c, 'layout/confirm', {
    title: c.get('t')('layout.confirm_title'),
    brand: c.get('tenant').name,
    brandIcon: 'fas fa-cubes',
    signIn: `${c.get('tenantBase')}/sign-in`,
    ...data,
  });
}

function againPages(app: Hono<TenantEnv>, panel: Panel): void {
  const { db, mail, now } = panel.deps;
  const bySender = countTries(db, { of: 'confirmation from', tries: AUTH_LIMITS.resetsPerSender });
  app.get('/confirm', (c) =>
    page(panel, c, mail === undefined ? { unsent: true } : { again: `${c.get('tenantBase')}/confirm` }),
  );
  app.post('/confirm', async (c) => {
    if ((await bySender.take(senderKey(c.get('address')), now())).waitMs > 0)
      throw new HostError('LIMIT', 'Too many links were asked for; try again in some minutes.');
    const form = await checkForm(c, AgainForm);
    // Not waited for: how long it takes would tell whether there is such an account.
    if (form.ok)
      void sendAgain(panel, c.var, form.value.email).catch((error: unknown) =>
        panel.deps.reportError(error, { id: requestIdOf(c), method: 'POST', path: '/confirm' }),
      );
    return page(panel, c, mail === undefined ? { unsent: true } : { mayBeSent: true });
  });
}

export function confirmPages(app: Hono<TenantEnv>, panel: Panel): void {
  const { auth } = panel.deps;
  againPages(app, panel);
  const ofTenant = async (c: Context<TenantEnv>): Promise<string> => {
    const token = c.req.param('token') ?? '';
    // Whoever registers is a client.
    const of = { purpose: 'confirm_email', kind: 'client', tenantId: c.get('tenant').id } as const;
    const account = await accountBehindLink(panel, token, of);
    if (account === undefined) throw new HostError('NOT_FOUND', c.get('t')('layout.confirm_too_old'));
    return token;
  };
  app.get('/confirm/:token', async (c) => {
    const token = await ofTenant(c);
    return page(panel, c, { action: `${c.get('tenantBase')}/confirm/${token}` });
  });
  app.post('/confirm/:token', async (c) => {
    if (!(await auth.confirmEmail(await ofTenant(c))))
      throw new HostError('NOT_FOUND', c.get('t')('layout.confirm_too_old'));
    return c.redirect(withNote(`${c.get('tenantBase')}/sign-in`, 'email-confirmed'), 303);
  });
}
