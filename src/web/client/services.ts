/** A client's services: the list, and one service with the tabs its module declares, each in the module's own frame. */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { Declaration } from '../../../sandbox/contract/declaration.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { idFrom } from '../forms.ts';
import { WEB_LIMITS } from '../limits.ts';
import type { TextKey } from '../lang/texts.ts';
import { liveStream } from '../live.ts';
import { runs } from '../need.ts';
import { withNote } from '../notes.ts';
import { careRoutes, ofService } from '../care/routes.ts';
import { shownCare } from '../care/shown.ts';
import { accountPage, fragment, type Panel } from '../panel.ts';

function services(panel: Panel, c: AccountContext) {
  return panel.deps.db
    .selectFrom('services')
    .innerJoin('products', 'products.id', 'services.product_id')
    .innerJoin('installations', 'installations.id', 'services.installation_id')
    .leftJoin('invoices as order_invoice', 'order_invoice.id', 'services.order_invoice_id')
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
      'services.order_invoice_id',
      'services.activated_at',
      'services.billed_until',
      'services.cancel_at',
      'order_invoice.status as order_status',
      'products.name as product',
      'installations.status as module_status',
      'installations.version_id',
      'module_versions.declaration',
    ])
    .where('services.tenant_id', '=', c.get('tenant').id)
    .where('services.client_id', '=', c.get('account').accountId);
}

/** What a client is told while the service is not ready: no word of the module's inner life. */
const WAITING: Readonly<Record<string, TextKey>> = {
  pending: 'client.waiting_pending',
  suspended: 'client.waiting_suspended',
  terminated: 'client.waiting_terminated',
  cancelled: 'client.waiting_cancelled',
  fraud: 'client.waiting_fraud',
  manual: 'client.waiting_manual',
};

export function clientServicePages(app: AccountApp, panel: Panel): void {
  app.get('/services', async (c) => {
    const rows = await services(panel, c)
      .orderBy('services.created_at', 'desc')
      .limit(WEB_LIMITS.pageRows)
      .execute();
    return accountPage(panel, c, 'client/services', {
      title: c.get('t')('menu.my_services'),
      services: rows,
    });
  });

  /** '-' is no tab's key: a module cannot take these addresses for its own. */
  app.get('/services/:id/-/events', async (c) => {
    const { id } = await serviceOf(panel, c);
    return liveStream(c, async () => {
      const { status, module_status, version_id, order_status } = await services(panel, c)
        .where('services.id', '=', id)
        .executeTakeFirstOrThrow();
      return [status, module_status, version_id, order_status].join(' ');
    });
  });

  app.get('/services/:id/-/state', async (c) => {
    const service = await serviceOf(panel, c);
    return fragment(
      panel,
      c,
      'parts/client-service',
      await shownService(panel, c, service, c.req.query('tab')),
    );
  });

  careRoutes(app, panel, '/services/:id/-');

  app.post('/services/:id/-/cancel', async (c) => {
    const { id } = await serviceOf(panel, c);
    await panel.deps.invoicing.cancelService({
      tenantId: c.get('tenant').id,
      serviceId: id,
      actor: 'client',
    });
    return c.redirect(withNote(`${c.get('tenantBase')}/services/${id}`, 'service-cancelled'), 303);
  });
  app.post('/services/:id/-/keep', async (c) => {
    const { id } = await serviceOf(panel, c);
    await panel.deps.invoicing.keepService({ tenantId: c.get('tenant').id, serviceId: id });
    return c.redirect(withNote(`${c.get('tenantBase')}/services/${id}`, 'service-kept'), 303);
  });

  app.get('/services/:id/:tab?', async (c) => {
    const service = await serviceOf(panel, c);
    const wanted = c.req.param('tab');
    const shown = await shownService(panel, c, service, wanted);
    if (wanted !== undefined && shown.tab === undefined)
      throw new HostError('NOT_FOUND', 'There is no such page.');
    return accountPage(panel, c, 'client/service', {
      title: service.name,
      crumb: { href: `${c.get('tenantBase')}/services`, title: c.get('t')('menu.my_services') },
      wanted,
      ...shown,
    });
  });
}

async function serviceOf(panel: Panel, c: AccountContext) {
  const service = await services(panel, c)
    .where('services.id', '=', idFrom(c.req.param('id')))
    .executeTakeFirst();
  if (service === undefined) throw new HostError('NOT_FOUND', 'There is no such service.');
  return service;
}

/** What the page and its live part show: the tabs while the service is made or used, and what it waits for. */
async function shownService(
  panel: Panel,
  c: AccountContext,
  service: Awaited<ReturnType<typeof serviceOf>>,
  wanted: string | undefined,
) {
  const declared = v.safeParse(v.pick(Declaration, ['tabs']), service.declaration);
  const usable = ['pending', 'active'].includes(service.status) && runs(service.module_status);
  const tabs = declared.success && usable ? declared.output.tabs : [];
  const tab = wanted === undefined ? tabs[0] : tabs.find(({ key }) => key === wanted);
  const home = `${c.get('tenantBase')}/services/${service.id}`;
  const waiting = WAITING[service.status] ?? (usable ? undefined : 'client.pages_unavailable');
  return {
    service,
    tabs: tabs.map(({ key, name }) => ({ name, href: `${home}/${key}`, active: key === tab?.key })),
    tab,
    frames: `${c.get('tenantBase')}/m/client/${service.id}`,
    home,
    care: await shownCare(panel, c, ofService(c)),
    waiting: waiting === undefined ? undefined : c.get('t')(waiting),
    ...billOf(c, service),
  };
}

/** What a client may decide about the service's money: pay the order, end the service, or keep it after all. */
function billOf(c: AccountContext, service: Awaited<ReturnType<typeof serviceOf>>) {
  const unpaid = service.order_status === 'unpaid' || service.order_status === 'overdue';
  const waits = service.status === 'pending' && service.activated_at === null && unpaid;
  const runs = service.status === 'active' || service.status === 'suspended';
  return {
    payHref: waits ? `${c.get('tenantBase')}/invoices/${service.order_invoice_id}` : undefined,
    mayCancel: (runs && service.cancel_at === null) || waits,
    isOrder: waits,
    mayKeep: runs && service.cancel_at !== null,
  };
}
