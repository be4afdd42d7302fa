/** One's own account, in every area: name, password, and the sessions that are open, each of which can be ended. */
import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { PersonName } from '../auth/accounts.ts';
import { passwordFault } from '../auth/password.ts';
import type { AccountApp, AccountContext, OperatorApp, OperatorContext, OperatorEnv } from './env.ts';
import type { FormErrors } from './deps.ts';
import { checkForm, idFrom } from './forms.ts';
import { writeLanguageCookie } from './cookies.ts';
import { ownPath } from './language.ts';
import { isLanguage } from './lang/languages.ts';
import { twoFactorPages } from './two-factor-pages.ts';
import { withNote } from './notes.ts';
import { accountPage, operatorPage, type PageData, type Panel } from './panel.ts';

const LanguageForm = v.object({
  language: v.pipe(v.string(), v.check(isLanguage)),
  from: v.optional(v.string(), ''),
});
const NameForm = v.object({ name: PersonName });
const PasswordForm = v.pipe(
  v.object({
    current: v.string(),
    password: v.pipe(v.string(), v.rawCheck(checkPassword)),
    again: v.string(),
  }),
  v.forward(
    v.partialCheck(
      [['password'], ['again']],
      (form) => form.password === form.again,
      'The two are not the same.',
    ),
    ['again'],
  ),
);

function checkPassword(context: v.RawCheckContext<string>): void {
  const fault = context.dataset.typed ? passwordFault(context.dataset.value) : undefined;
  if (fault !== undefined) context.addIssue({ message: fault });
}

type Show<C> = (c: C, template: string, data: PageData, status: 200 | 422) => Promise<Response>;

export function profilePages(app: AccountApp, panel: Panel): void {
  const baseOf = (c: AccountContext): string =>
    c.get('area') === 'admin' ? `${c.get('tenantBase')}/admin` : c.get('tenantBase');
  register(app, panel, baseOf, (c, template, data, status) => accountPage(panel, c, template, data, status));
}

export function operatorProfilePages(app: OperatorApp, panel: Panel): void {
  register(
    app,
    panel,
    () => `${panel.site.base}/operator`,
    (c: OperatorContext, template, data, status) => operatorPage(panel, c, template, data, status),
  );
}

function register<E extends OperatorEnv>(
  app: Hono<E>,
  panel: Panel,
  baseOf: (c: Context<E>) => string,
  show: Show<Context<E>>,
): void {
  const { auth, db } = panel.deps;
  const page = async (c: Context<E>, errors: FormErrors = {}): Promise<Response> => {
    const account = c.get('account');
    const sessions = await auth.sessions.list(account.accountId);
    const status = Object.keys(errors).length === 0 ? 200 : 422;
    return show(
      c,
      'parts/profile',
      {
        title: c.get('t')('menu.profile'),
        me: account,
        sessions,
        errors,
        offersTwoFactor: auth.twoFactor !== undefined,
        twoFactor: (await auth.twoFactor?.isOn(account.accountId)) ?? false,
        elsewhere: auth.external !== undefined,
      },
      status,
    );
  };

  app.get('/profile', (c) => page(c));
  twoFactorPages(app, panel, {
    homeOf: (c) => `${baseOf(c)}/profile`,
    issuerOf: (c) => new URL(c.get('origin')).host,
    show,
    profile: page,
  });

  app.post('/profile', async (c) => {
    const form = await checkForm(c, NameForm);
    if (!form.ok) return page(c, form.errors);
    const { accountId } = c.get('account');
    await db.updateTable('accounts').set({ name: form.value.name }).where('id', '=', accountId).execute();
    auth.sessions.forget(accountId);
    return c.redirect(withNote(`${baseOf(c)}/profile`, 'profile-saved'), 303);
  });

  app.post('/profile/language', async (c) => {
    const form = await checkForm(c, LanguageForm);
    if (!form.ok) throw new HostError('BAD_INPUT', 'Choose one of the languages.');
    const { accountId } = c.get('account');
    await db
      .updateTable('accounts')
      .set({ locale: form.value.language })
      .where('id', '=', accountId)
      .execute();
    auth.sessions.forget(accountId);
    writeLanguageCookie(c, form.value.language, panel.site);
    return c.redirect(ownPath(form.value.from, panel.site.base), 303);
  });

  app.post('/profile/password', async (c) => {
    const form = await checkForm(c, PasswordForm);
    if (!form.ok) return page(c, form.errors);
    const { accountId, sessionId } = c.get('account');
    if (!(await auth.passwordIs(accountId, form.value.current)))
      return page(c, { current: ['This is not your present password.'] });
    await auth.setPassword(accountId, form.value.password, sessionId);
    return c.redirect(withNote(`${baseOf(c)}/profile`, 'password-changed'), 303);
  });

  app.post('/profile/sessions/:id/end', async (c) => {
    await auth.sessions.revoke(c.get('account').accountId, idFrom(c.req.param('id')));
    return c.redirect(withNote(`${baseOf(c)}/profile`, 'session-ended'), 303);
  });
}
