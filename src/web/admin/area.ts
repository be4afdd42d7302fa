/** The tenant admin's area: its pages, each behind the session check and its own permission. */
import { Hono } from 'hono';
import { nothingHere } from '../need.ts';
import type { AccountEnv, TenantEnv } from '../env.ts';
import type { Panel } from '../panel.ts';
import { profilePages } from '../profile.ts';
import { requireAccount } from '../session.ts';
import { signInPages } from '../sign-in-pages.ts';
import { billingSettingsPages } from './billing-settings.ts';
import { clientBillingPages } from './client-billing.ts';
import { clientsPages } from './clients.ts';
import { consentPages } from './consent.ts';
import { dashboardPage } from './dashboard.ts';
import { eventPages } from './events.ts';
import { instancePages } from './instances.ts';
import { invoicePages } from './invoices.ts';
import { logsPage } from './logs.ts';
import { moduleHostPages } from './module-hosts.ts';
import { moduleWebPages } from './module-web.ts';
import { modulePages } from './module.ts';
import { modulesPage } from './modules.ts';
import { notificationPages } from './notifications/pages.ts';
import { productPages } from './products.ts';
import { schedulePages } from './schedules.ts';
import { testConnectionPages } from '../care/test-connection.ts';
import { servicePages } from './service.ts';
import { servicesPage } from './services.ts';
import { settingsPages } from './settings.ts';
import { remotePages } from '../store/remote.ts';
import { storePages } from '../store/store.ts';
import { taskPages } from './task.ts';
import { tasksPage } from './tasks.ts';

export function adminArea(panel: Panel): Hono<TenantEnv> {
  const area = new Hono<TenantEnv>();
  signInPages(area, panel, (c) => ({
    kind: 'admin',
    heading: c.get('t')('layout.admin_sign_in'),
    brand: c.get('tenant').name,
    brandIcon: 'fas fa-cubes',
    tenantId: c.get('tenant').id,
    base: `${c.get('tenantBase')}/admin`,
    cookiePath: c.get('tenantBase'),
    others: [{ href: `${c.get('tenantBase')}/sign-in`, title: c.get('t')('layout.i_am_a_client') }],
  }));
  const pages = new Hono<AccountEnv>();
  pages.use(requireAccount(panel, 'admin'));
  for (const register of [
    dashboardPage,
    servicesPage,
    servicePages,
    clientsPages,
    clientBillingPages,
    invoicePages,
    billingSettingsPages,
    productPages,
    modulesPage,
    modulePages,
    testConnectionPages,
    consentPages,
    instancePages,
    moduleHostPages,
    moduleWebPages,
    remotePages,
    storePages,
    notificationPages,
    tasksPage,
    schedulePages,
    eventPages,
    taskPages,
    logsPage,
    settingsPages,
    profilePages,
  ])
    register(pages, panel);
  pages.all('*', nothingHere);
  area.route('/', pages);
  return area;
}
