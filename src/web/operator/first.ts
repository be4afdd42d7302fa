/** The page behind the one-time link: whoever opens it first names the operator. */
import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { Email, PersonName } from '../../auth/accounts.ts';
import type { FormErrors } from '../deps.ts';
import type { RootEnv } from '../env.ts';
import { checkForm, errorsOf, type RawForm } from '../forms.ts';
import { withNote } from '../notes.ts';
import { plainPage, type Panel } from '../panel.ts';

const OperatorForm = v.object({ email: Email, name: PersonName, password: v.string() });

export function firstOperatorPages(app: Hono<RootEnv>, panel: Panel): void {
  const { operatorLinks } = panel.deps.auth;
  const page = (c: Context<RootEnv>, errors: FormErrors = {}, values: RawForm = {}) =>
    plainPage(
      panel,
      c,
      'operator/first',
      { title: c.get('t')('operator.first_operator'), errors, values },
      Object.keys(errors).length === 0 ? 200 : 422,
    );

  app.get('/first/:token', async (c) => {
    if (!(await operatorLinks.valid(c.req.param('token'))))
      throw new HostError(
        'NOT_FOUND',
        'This link was used, or is too old. Start the server anew for another one.',
      );
    // The token stands in the address: no other page may learn it.
    c.header('Referrer-Policy', 'same-origin');
    return page(c);
  });

  app.post('/first/:token', async (c) => {
    const form = await checkForm(c, OperatorForm);
    if (!form.ok) return page(c, form.errors, form.values);
    try {
      await operatorLinks.use(c.req.param('token'), form.value);
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return page(c, errors, { email: form.value.email, name: form.value.name });
    }
    return c.redirect(withNote(`${panel.site.base}/operator/sign-in`, 'operator-created'), 303);
  });
}
