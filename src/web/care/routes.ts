/**
 * What a person has a service's module do beside its lifecycle: its buttons, a new password, signing on; for staff the comparison too. The
 * same for staff and client, each below its own page of the service; the use cases decide who may.
 */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { OfService } from '../../care/care.ts';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, errorsOf, idFrom } from '../forms.ts';
import { withNote } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';
import { leavePage } from './leave.ts';

const ButtonForm = v.object({ button: v.string() });
const PasswordForm = v.object({ password: v.optional(v.string(), '') });

export function ofService(c: AccountContext): OfService {
  const { accountId, permissions } = c.get('account');
  return {
    tenantId: c.get('tenant').id,
    serviceId: idFrom(c.req.param('id')),
    account: { id: accountId, kind: c.get('area'), permissions },
  };
}

function homeOf(c: AccountContext): string {
  const area = c.get('area') === 'admin' ? '/admin' : '';
  return `${c.get('tenantBase')}${area}/services/${idFrom(c.req.param('id'))}`;
}

/** The page that says what the action with this id said (panel.ts). */
export function withSaid(path: string, actionId: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}did=${actionId}`;
}

/** @param prefix where the page of a service takes its actions */
export function careRoutes(app: AccountApp, panel: Panel, prefix: '/services/:id' | '/services/:id/-'): void {
  const { care } = panel.deps;

  app.post(`${prefix}/button`, async (c) => {
    const form = await checkForm(c, ButtonForm);
    if (!form.ok) throw new HostError('NOT_FOUND', 'The module has no such button.');
    const { actionId } = await care.press({ ...ofService(c), button: form.value.button });
    return c.redirect(withSaid(homeOf(c), actionId), 303);
  });

  app.get(`${prefix}/password`, (c) => passwordPage(panel, c, prefix));
  app.post(`${prefix}/password`, async (c) => {
    const form = await checkForm(c, PasswordForm);
    const typed = form.ok ? form.value.password : '';
    try {
      const done = await care.changePassword({ ...ofService(c), password: typed === '' ? null : typed });
      // On this answer and nowhere else: a redirect would have to keep it.
      return await passwordPage(panel, c, prefix, { done });
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return passwordPage(panel, c, prefix, { errors });
    }
  });

  app.post(`${prefix}/sign-on`, async (c) => {
    const { url } = await care.signOn(ofService(c));
    return leavePage(panel, c, url);
  });

  if (prefix !== '/services/:id') return;
  app.post(`${prefix}/reconcile`, async (c) => {
    const { actionId } = await care.reconcile(ofService(c));
    return c.redirect(withSaid(homeOf(c), actionId), 303);
  });
  app.post(`${prefix}/not-found`, async (c) => {
    await care.markNotFound(ofService(c));
    return c.redirect(withNote(homeOf(c), 'marked-not-found'), 303);
  });
}

async function passwordPage(
  panel: Panel,
  c: AccountContext,
  prefix: string,
  shown: {
    readonly done?: { readonly ok: boolean; readonly message: string; readonly password: string | null };
    readonly errors?: FormErrors;
  } = {},
): Promise<Response> {
  const input = ofService(c);
  const { password } = await panel.deps.care.view(input);
  if (!password && shown.done === undefined) throw new HostError('NOT_FOUND', 'There is no such page.');
  const service = await panel.deps.db
    .selectFrom('services')
    .select('name')
    .where('tenant_id', '=', input.tenantId)
    .where('id', '=', input.serviceId)
    .executeTakeFirstOrThrow();
  const home = homeOf(c);
  const data = {
    title: c.get('t')('care.new_password'),
    crumb: { href: home, title: service.name },
    action: `${home}${prefix.endsWith('/-') ? '/-' : ''}/password`,
    home,
    done: shown.done,
    errors: shown.errors ?? {},
  };
  return accountPage(panel, c, 'care/password', data, shown.errors === undefined ? 200 : 422);
}
