/**
 * Confirming the address of whoever registered: a link by mail leads to a page with a button. The link alone does nothing, since mail
 * servers open links by themselves.
 */
import type { Context, Hono } from 'hono';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { AUTH_LIMITS } from '../../auth/limits.ts';
import { countTries } from '../../auth/tries.ts';
import type { HostMail } from '../../mail/host-mail.ts';
import type { TenantEnv } from '../env.ts';
import { accountBehindLink } from '../link-account.ts';
import { withNote } from '../notes.ts';
import { plainPage, type Panel } from '../panel.ts';

const HOUR_MS = 3_600_000;

/** Sends a link, so often for an account and no more, and says where to look. */
export async function askToConfirm(
  panel: Panel,
  c: Context<TenantEnv>,
  accountId: string,
): Promise<Response> {
  const { db, mail, now } = panel.deps;
  const tries = countTries(db, { of: 'confirmation of', tries: AUTH_LIMITS.resetsPerEmail });
  if (mail !== undefined && (await tries.take(accountId, now())).waitMs === 0)
    await sendLink(panel, c, mail, accountId);
  return page(panel, c, { unsent: mail === undefined });
}

async function sendLink(
  { deps: { auth, db } }: Panel,
  c: Context<TenantEnv>,
  mail: HostMail,
  accountId: string,
): Promise<void> {
  const account = await db
    .selectFrom('accounts')
    .select('email')
    .where('id', '=', accountId)
    .executeTakeFirstOrThrow();
  const token = await auth.links.create(accountId, 'confirm_email');
  const brand = c.get('tenant').name;
  const t = c.get('t');
  await mail.send({
    to: account.email,
    subject: t('layout.confirm_subject', { brand }),
    text: t('layout.confirm_mail', {
      brand,
      // A host that is not ours never comes so far (app.ts): the link leads here and nowhere else.
      link: `${c.get('origin')}${c.get('tenantBase')}/confirm/${token}`,
      hours: AUTH_LIMITS.confirmLinkMs / HOUR_MS,
    }),
  });
}

function page(
  panel: Panel,
  c: Context<TenantEnv>,
  data: { readonly action?: string; readonly unsent?: boolean },
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

export function confirmPages(app: Hono<TenantEnv>, panel: Panel): void {
  const { auth } = panel.deps;
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
