/** The client's area: services with their modules' tabs, ordering, and one's own account. */
import { Hono } from 'hono';
import type { AccountEnv, TenantEnv } from '../env.ts';
import type { Panel } from '../panel.ts';
import { profilePages } from '../profile.ts';
import { requireAccount } from '../session.ts';
import { signInPages } from '../sign-in-pages.ts';
import { askToConfirm } from './confirm.ts';
import { clientInvoicePages } from './invoices.ts';
import { orderPages } from './order.ts';
import { payPages } from './pay.ts';
import { mayRegister, registerPages } from './register.ts';
import { clientServicePages } from './services.ts';

export function clientArea(panel: Panel): Hono<TenantEnv> {
  const area = new Hono<TenantEnv>();
  signInPages(area, panel, (c) => ({
    kind: 'client',
    heading: c.get('t')('layout.sign_in'),
    brand: c.get('tenant').name,
    brandIcon: 'fas fa-cubes',
    tenantId: c.get('tenant').id,
    base: c.get('tenantBase'),
    cookiePath: c.get('tenantBase'),
    unconfirmed: (accountId) => askToConfirm(panel, c, accountId),
    register: async () =>
      (await mayRegister(panel, c.get('tenant').id)) ? `${c.get('tenantBase')}/register` : undefined,
  }));
  registerPages(area, panel);
  const pages = new Hono<AccountEnv>();
  pages.use(requireAccount(panel, 'client'));
  pages.get('/', (c) => c.redirect(`${c.get('tenantBase')}/services`));
  for (const register of [clientServicePages, orderPages, clientInvoicePages, payPages, profilePages])
    register(pages, panel);
  area.route('/', pages);
  return area;
}
