/** A client's services: the list, and one service with the tabs its module declares, each in the module's own frame. */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { Declaration } from '../../../sandbox/contract/declaration.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { idFrom } from '../forms.ts';
import { WEB_LIMITS } from '../limits.ts';
import { accountPage, type Panel } from '../panel.ts';

function services(panel: Panel, c: AccountContext) {
  return panel.deps.db
    .selectFrom('services')
    .innerJoin('products', 'products.id', 'services.product_id')
    .innerJoin('installations', 'installations.id', 'services.installation_id')
    .innerJoin('module_versions', 'module_versions.id', 'installations.version_id')
    .select([
      'services.id',
      'services.name',
      'services.status',
      'services.provision_status',
      'services.period',
      'services.amount_minor',
      'services.currency',
      'services.created_at',
      'products.name as product',
      'installations.status as module_status',
      'module_versions.declaration',
    ])
    .where('services.tenant_id', '=', c.get('tenant').id)
    .where('services.client_id', '=', c.get('account').accountId);
}

/** What a client is told while the service is not ready: no word of the module's inner life. */
const WAITING: Readonly<Record<string, string>> = {
  pending: 'Your service is being prepared.',
  suspended: 'Your service is suspended. Please contact us.',
  terminated: 'This service has ended.',
  cancelled: 'This service was cancelled.',
  fraud: 'Your order is being checked.',
  manual: 'We are setting up your service by hand.',
};

export function clientServicePages(app: AccountApp, panel: Panel): void {
  app.get('/services', async (c) => {
    const rows = await services(panel, c)
      .orderBy('services.created_at', 'desc')
      .limit(WEB_LIMITS.pageRows)
      .execute();
    return accountPage(panel, c, 'client/services', { title: 'My services', services: rows });
  });

  app.get('/services/:id/:tab?', async (c) => {
    const service = await services(panel, c)
      .where('services.id', '=', idFrom(c.req.param('id')))
      .executeTakeFirst();
    if (service === undefined) throw new HostError('NOT_FOUND', 'There is no such service.');
    const declared = v.safeParse(v.pick(Declaration, ['tabs']), service.declaration);
    const usable = service.status === 'active' && service.module_status === 'active';
    const tabs = declared.success && usable ? declared.output.tabs : [];
    const wanted = c.req.param('tab');
    const tab = wanted === undefined ? tabs[0] : tabs.find(({ key }) => key === wanted);
    if (wanted !== undefined && tab === undefined) throw new HostError('NOT_FOUND', 'There is no such page.');
    const home = `${c.get('tenantBase')}/services/${service.id}`;
    const frames = `${c.get('tenantBase')}/m/client/${service.id}`;
    return accountPage(panel, c, 'client/service', {
      title: service.name,
      crumb: { href: `${c.get('tenantBase')}/services`, title: 'My services' },
      service,
      tabs: tabs.map(({ key, name }) => ({ name, href: `${home}/${key}`, active: key === tab?.key })),
      tab,
      frames,
      home,
      waiting:
        WAITING[service.status] ??
        (usable ? undefined : 'Your service’s pages are not available at the moment.'),
    });
  });
}
