/** How a tenant bills: numbers of invoices, when they are due, what happens when nobody pays, and whether orders wait for their payment. */
import * as v from 'valibot';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, type RawForm } from '../forms.ts';
import { need } from '../need.ts';
import { withNote } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';

function days(least: number, most: number) {
  return v.pipe(
    v.string(),
    v.trim(),
    v.regex(/^\d{1,5}$/, 'A whole number is expected.'),
    v.transform(Number),
    v.integer(),
    v.minValue(least, `At least ${least}.`),
    v.maxValue(most, `At most ${most}.`),
  );
}
/** '23' or '8.25', as hundredths of a percent. */
const Rate = v.pipe(
  v.optional(v.string(), '0'),
  v.trim(),
  v.regex(
    /^(?:\d{1,2}(?:[.,]\d{1,2})?|100)$/,
    'A percentage with at most two decimals is expected, for example 8.25.',
  ),
  v.transform((text) => Math.round(Number(text.replace(',', '.')) * 100)),
);
const Switch = v.pipe(
  v.optional(v.string(), ''),
  v.transform((value) => value === 'on'),
);

const SettingsForm = v.object({
  invoice_prefix: v.pipe(v.string(), v.trim(), v.maxLength(20, 'Use at most 20 characters.')),
  due_days: days(0, 365),
  invoice_ahead_days: days(0, 365),
  suspend_after_days: days(0, 365),
  terminate_after_days: v.union([
    v.pipe(
      v.literal(''),
      v.transform(() => null),
    ),
    days(1, 3_650),
  ]),
  orders_per_hour: days(1, 10_000),
  pay_first: Switch,
  auto_credit: Switch,
  tax_rate_bp: Rate,
  prices_include_tax: Switch,
});

export function billingSettingsPages(app: AccountApp, panel: Panel): void {
  const stored = async (c: AccountContext) => {
    const settings = await panel.deps.invoicing.settings(c.get('tenant').id);
    return { ...settings, tax_rate_bp: String(settings.tax_rate_bp / 100) };
  };
  const page = async (c: AccountContext, refused?: { errors: FormErrors; values: RawForm }) => {
    need(c, 'billing.manage');
    const data = {
      title: c.get('t')('billing.billing_settings'),
      crumb: { href: `${c.get('tenantBase')}/admin/invoices`, title: c.get('t')('menu.invoices') },
      values: refused?.values ?? (await stored(c)),
      errors: refused?.errors ?? {},
    };
    return accountPage(panel, c, 'admin/billing-settings', data, refused === undefined ? 200 : 422);
  };
  app.get('/billing', (c) => page(c));
  app.post('/billing', async (c) => {
    need(c, 'billing.manage');
    const form = await checkForm(c, SettingsForm);
    if (!form.ok) return page(c, form);
    await panel.deps.invoicing.saveSettings(c.get('tenant').id, form.value);
    return c.redirect(withNote(`${c.get('tenantBase')}/admin/billing`, 'settings-saved'), 303);
  });
}
