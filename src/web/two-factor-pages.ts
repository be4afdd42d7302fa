/** Switching the second factor on and off, in one's profile. Both ask for the password again: an open session alone is not enough. */
import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { TwoFactor } from '../auth/two-factor.ts';
import type { OperatorEnv } from './env.ts';
import type { FormErrors } from './deps.ts';
import { checkForm } from './forms.ts';
import { withNote } from './notes.ts';
import type { PageData, Panel } from './panel.ts';
import { qrCode } from './qr.ts';

const ConfirmForm = v.object({
  sealed: v.pipe(v.string(), v.maxLength(500)),
  code: v.pipe(v.string(), v.maxLength(40)),
  password: v.string(),
});
const OffForm = v.object({ password: v.string() });

export interface TwoFactorView<E extends OperatorEnv> {
  readonly homeOf: (c: Context<E>) => string;
  readonly issuerOf: (c: Context<E>) => string;
  readonly show: (c: Context<E>, template: string, data: PageData, status: 200 | 422) => Promise<Response>;
  /** The profile itself, with what was wrong. */
  readonly profile: (c: Context<E>, errors: FormErrors) => Promise<Response>;
}

export function twoFactorPages<E extends OperatorEnv>(
  app: Hono<E>,
  panel: Panel,
  view: TwoFactorView<E>,
): void {
  const { auth } = panel.deps;
  /** @throws NOT_FOUND where it is not offered */
  const offered = (): TwoFactor => {
    if (auth.twoFactor === undefined || auth.external !== undefined)
      throw new HostError('NOT_FOUND', 'There is no such page.');
    return auth.twoFactor;
  };
  const setup = (c: Context<E>, errors: FormErrors = {}, sealed?: string) => {
    const { accountId, email } = c.get('account');
    const issuer = view.issuerOf(c);
    const two = offered();
    const begun =
      sealed === undefined
        ? two.begin(accountId, issuer, email)
        : two.again(accountId, issuer, email, sealed);
    const data = {
      title: c.get('t')('profile.two_factor'),
      setup: begun,
      qr: qrCode(begun.address),
      errors,
    };
    return view.show(c, 'parts/two-factor', data, sealed === undefined ? 200 : 422);
  };

  app.get('/profile/two-factor', (c) => setup(c));

  app.post('/profile/two-factor', async (c) => {
    const form = await checkForm(c, ConfirmForm);
    if (!form.ok) return setup(c);
    const { sealed, code, password } = form.value;
    const { accountId, sessionId } = c.get('account');
    if (!(await auth.passwordIs(accountId, password)))
      return setup(c, { password: [c.get('t')('profile.not_your_password')] }, sealed);
    const codes = await offered().confirm(accountId, sealed, code);
    if (codes === undefined) return setup(c, { code: [c.get('t')('layout.code_wrong')] }, sealed);
    await auth.sessions.revokeAll(accountId, sessionId);
    return view.show(c, 'parts/two-factor', { title: c.get('t')('profile.two_factor'), codes }, 200);
  });

  app.post('/profile/two-factor/off', async (c) => {
    const form = await checkForm(c, OffForm);
    const { accountId } = c.get('account');
    if (!form.ok || !(await auth.passwordIs(accountId, form.value.password)))
      return view.profile(c, { off: [c.get('t')('profile.not_your_password')] });
    await offered().off(accountId);
    return c.redirect(withNote(view.homeOf(c), 'two-factor-off'), 303);
  });
}
