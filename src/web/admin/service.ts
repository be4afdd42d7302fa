/** One service: what it is, what may be done with it, and its timeline, live while work runs. */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { Declaration } from '../../../sandbox/contract/declaration.ts';
import { SERVICE_ACTION_NAMES } from '../../../sandbox/contract/kinds/product.ts';
import { redact } from '../../secrets/redact-by-key.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, idFrom } from '../forms.ts';
import { liveStream } from '../live.ts';
import { installationOf, may, need } from '../need.ts';
import { type Note, withNote } from '../notes.ts';
import { careRoutes, ofService } from '../care/routes.ts';
import { shownCare } from '../care/shown.ts';
import { accountPage, fragment, type Panel } from '../panel.ts';
import { readTimeline, timelineFingerprint } from '../timeline.ts';

async function serviceRow(panel: Panel, c: AccountContext) {
  const row = await panel.deps.db
    .selectFrom('services')
    .innerJoin('accounts', 'accounts.id', 'services.client_id')
    .innerJoin('products', 'products.id', 'services.product_id')
    .selectAll('services')
    .select(['accounts.name as client', 'accounts.email as client_email', 'products.name as product'])
    .where('services.tenant_id', '=', c.get('tenant').id)
    .where('services.id', '=', idFrom(c.req.param('id')))
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such service.');
  return row;
}
type ServiceRow = Awaited<ReturnType<typeof serviceRow>>;

/** Which buttons make sense now; the use case decides again. */
function actionsFor(row: ServiceRow): Record<string, boolean> {
  const gone = row.status === 'terminated' || row.status === 'cancelled';
  return {
    create:
      !gone &&
      (row.provision_status === 'pending' ||
        row.provision_status === 'failed' ||
        row.provision_status === 'not_found'),
    suspend: row.status === 'active',
    unsuspend: row.status === 'suspended',
    change_package: row.status === 'active',
    termination: !gone,
    cancel: row.cancel_at === null && (row.status === 'active' || row.status === 'suspended'),
    keep: row.cancel_at !== null && (row.status === 'active' || row.status === 'suspended'),
  };
}

/** Products of the same module: where a service may move. */
function siblings(panel: Panel, row: ServiceRow) {
  return panel.deps.db
    .selectFrom('products')
    .select(['id', 'name'])
    .where('tenant_id', '=', row.tenant_id)
    .where('installation_id', '=', row.installation_id)
    .where('id', '!=', row.product_id)
    .where('active', '=', true)
    .orderBy('name')
    .execute();
}

const ActionForm = v.object({
  action: v.picklist(SERVICE_ACTION_NAMES),
  product: v.optional(v.union([v.literal(''), v.pipe(v.string(), v.uuid())])),
});
const OwnMethods = v.pick(Declaration, ['own_methods']);

export function servicePages(app: AccountApp, panel: Panel): void {
  cancellationPages(app, panel);
  const { db } = panel.deps;

  /** What the page shows and its live part shows anew. */
  const shown = async (c: AccountContext) => {
    const service = await serviceRow(panel, c);
    const [entries, products, installation, care] = await Promise.all([
      readTimeline(db, { serviceId: service.id }, c.get('t')),
      siblings(panel, service),
      installationOf(panel, service.tenant_id, service.installation_id),
      shownCare(panel, c, ofService(c)),
    ]);
    return {
      service,
      ordered: redact(service.data),
      provisioned: redact(service.provision_data),
      dataEmpty: isEmpty(service.data),
      provisionEmpty: isEmpty(service.provision_data),
      entries,
      products,
      installation,
      care,
      actions: may(c, 'services.manage') ? actionsFor(service) : {},
    };
  };

  app.get('/services/:id', async (c) => {
    need(c, 'services.view');
    const data = await shown(c);
    const declared = v.safeParse(OwnMethods, data.installation.declaration);
    return accountPage(panel, c, 'admin/service', {
      ...data,
      title: data.service.name,
      crumb: { href: `${c.get('tenantBase')}/admin/services`, title: c.get('t')('menu.services') },
      hasPage: declared.success && declared.output.own_methods.includes('getServicePage'),
      frames: `${c.get('tenantBase')}/m/service/${data.service.id}`,
    });
  });

  careRoutes(app, panel, '/services/:id');

  app.get('/services/:id/timeline', async (c) => {
    need(c, 'services.view');
    return fragment(panel, c, 'parts/service-fragment', await shown(c));
  });

  app.get('/services/:id/events', async (c) => {
    need(c, 'services.view');
    const { id } = await serviceRow(panel, c);
    return liveStream(c, () => timelineFingerprint(db, { serviceId: id }));
  });

  app.post('/services/:id/action', async (c) => {
    need(c, 'services.manage');
    const { id, tenant_id } = await serviceRow(panel, c);
    const form = await checkForm(c, ActionForm);
    if (!form.ok) throw new HostError('BAD_INPUT', 'There is no such action.');
    const { action, product } = form.value;
    const target = product === undefined || product === '' ? undefined : product;
    if (target !== undefined) await ownProduct(panel, tenant_id, target);
    await panel.deps.billing.serviceAction({
      serviceId: id,
      action,
      accountId: c.get('account').accountId,
      ...(target === undefined ? {} : { productId: target }),
    });
    return c.redirect(withNote(`${c.get('tenantBase')}/admin/services/${id}`, 'action-queued'), 303);
  });
}

/** Ending a service with the time that is paid, and taking that back: what its client may do too. */
function cancellationPages(app: AccountApp, panel: Panel): void {
  const { invoicing } = panel.deps;
  const back = (c: AccountContext, id: string, note: Note): Response =>
    c.redirect(withNote(`${c.get('tenantBase')}/admin/services/${id}`, note), 303);
  app.post('/services/:id/cancel', async (c) => {
    need(c, 'services.manage');
    const { id, tenant_id: tenantId } = await serviceRow(panel, c);
    await invoicing.cancelService({ tenantId, serviceId: id, actor: 'admin' });
    return back(c, id, 'service-cancelled');
  });
  app.post('/services/:id/keep', async (c) => {
    need(c, 'services.manage');
    const { id, tenant_id: tenantId } = await serviceRow(panel, c);
    await invoicing.keepService({ tenantId, serviceId: id });
    return back(c, id, 'service-kept');
  });
}

function isEmpty(value: unknown): boolean {
  return typeof value !== 'object' || value === null || Object.keys(value).length === 0;
}

async function ownProduct(panel: Panel, tenantId: string, productId: string): Promise<void> {
  const row = await panel.deps.db
    .selectFrom('products')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('id', '=', productId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such product.');
}
