/**
 * Clients who make their own account, where the tenant lets them. Where the host sends mail they confirm their address first; where it
 * does not, nobody can ask them to, and they are signed in at once: what they order is the tenant's to check.
 */
import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { Email, PersonName } from '../../auth/accounts.ts';
import { senderKey } from '../../auth/addresses.ts';
import { AUTH_LIMITS } from '../../auth/limits.ts';
import { countTries } from '../../auth/tries.ts';
import { writeSessionCookie } from '../cookies.ts';
import { askToConfirm, confirmPages } from './confirm.ts';
import type { FormErrors } from '../deps.ts';
import type { TenantEnv } from '../env.ts';
import { checkForm, errorsOf, type RawForm } from '../forms.ts';
import { plainPage, type Panel } from '../panel.ts';

const RegisterForm = v.object({ name: PersonName, email: Email, password: v.string() });

export async function mayRegister(panel: Panel, tenantId: string): Promise<boolean> {
  if (panel.deps.auth.external !== undefined) return false;
  const row = await panel.deps.db
    .selectFrom('tenants')
    .select('client_registration')
    .where('id', '=', tenantId)
    .executeTakeFirst();
  return row?.client_registration === true;
}

export function registerPages(app: Hono<TenantEnv>, panel: Panel): void {
  const { auth, now, db } = panel.deps;
  const bySender = countTries(db, { of: 'registration from', tries: AUTH_LIMITS.registrationsPerSender });
  confirmPages(app, panel);
  const page = (c: Context<TenantEnv>, errors: FormErrors = {}, values: RawForm = {}) => {
    const data = {
      title: c.get('t')('layout.register'),
      brand: c.get('tenant').name,
      brandIcon: 'fas fa-cubes',
      action: `${c.get('tenantBase')}/register`,
      signIn: `${c.get('tenantBase')}/sign-in`,
      errors,
      values,
    };
    return plainPage(panel, c, 'layout/register', data, Object.keys(errors).length === 0 ? 200 : 422);
  };
  /** @throws NOT_FOUND */
  const needOpen = async (c: Context<TenantEnv>): Promise<void> => {
    if (!(await mayRegister(panel, c.get('tenant').id)))
      throw new HostError('NOT_FOUND', 'There is no such page.');
  };

  app.get('/register', async (c) => {
    await needOpen(c);
    return page(c);
  });

  app.post('/register', async (c) => {
    await needOpen(c);
    const form = await checkForm(c, RegisterForm);
    if (!form.ok) return page(c, form.errors, form.values);
    const { name, email, password } = form.value;
    const sender = senderKey(c.get('address'));
    if ((await bySender.take(sender, now())).waitMs > 0)
      throw new HostError('LIMIT', 'Too many accounts were made from your address; try again later.');
    try {
      const tenantId = c.get('tenant').id;
      const unconfirmed = panel.deps.mail !== undefined;
      const { id } = await auth.createAccount({
        kind: 'client',
        tenantId,
        name,
        email,
        password,
        unconfirmed,
      });
      if (unconfirmed) return await askToConfirm(panel, c, id);
      const from = { address: c.get('address'), userAgent: c.req.header('user-agent') ?? '' };
      const opened = await auth.openSession(id, from);
      const scope = { area: 'client', path: c.get('tenantBase'), secure: panel.site.secure } as const;
      if (opened.ok) writeSessionCookie(c, scope, opened.token);
      return c.redirect(`${c.get('tenantBase')}/order`, 303);
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return page(c, errors, { name, email });
    }
  });
}
