/** The operator's area: tenants, packages, runners, and the one-time link that makes the first operator. */
import { Hono } from 'hono';
import type { OperatorEnv, RootEnv } from '../env.ts';
import type { Panel } from '../panel.ts';
import { operatorProfilePages } from '../profile.ts';
import { requireOperator } from '../session.ts';
import { signInPages } from '../sign-in-pages.ts';
import { firstOperatorPages } from './first.ts';
import { packagePages } from './packages.ts';
import { remoteStorePages } from './stores.ts';
import { runnersPage } from './runners.ts';
import { tenantPages } from './tenants.ts';

export function operatorArea(panel: Panel): Hono<RootEnv> {
  const area = new Hono<RootEnv>();
  const base = `${panel.site.base}/operator`;
  signInPages(area, panel, (c) => ({
    kind: 'operator',
    heading: c.get('t')('layout.operator_sign_in'),
    brand: 'Bulkhead',
    brandIcon: 'fas fa-shield-halved',
    tenantId: null,
    base,
    cookiePath: base,
  }));
  firstOperatorPages(area, panel);
  const pages = new Hono<OperatorEnv>();
  pages.use(requireOperator(panel));
  pages.get('/', (c) => c.redirect(`${base}/tenants`));
  for (const register of [tenantPages, packagePages, remoteStorePages, runnersPage, operatorProfilePages])
    register(pages, panel);
  area.route('/', pages);
  return area;
}
