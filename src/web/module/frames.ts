/**
 * Module frames of one tenant, and the calls that the panel's bridge makes for them. Each entry checks who asks (session), whose
 * the installation or service is, and that the route or tab is declared, before any module code runs. Calls carry the CSRF token even
 * when they only read: nothing but our own bridge may enter a module with a person's cookies.
 */
import { Hono, type Context } from 'hono';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { Declaration } from '../../../sandbox/contract/declaration.ts';
import type { ModuleResponse } from '../../../sandbox/contract/invocation.ts';
import { requirePermission } from '../../auth/permissions.ts';
import type { SignedIn } from '../../auth/sessions.ts';
import { sameText } from '../../auth/tokens.ts';
import type { ModuleCaller, ModuleOwner } from '../deps.ts';
import type { TenantEnv } from '../env.ts';
import { statusOf } from '../errors.ts';
import { idFrom } from '../forms.ts';
import { CSRF_HEADER } from '../guard.ts';
import { FIRST_LANGUAGE } from '../lang/languages.ts';
import { setLanguage } from '../language.ts';
import { said } from '../lang/said.ts';
import { installationOf, nothingHere, runs, type InstallationRow } from '../need.ts';
import type { Panel } from '../panel.ts';
import { requestIdOf } from '../request-id.ts';
import { findAccount } from '../session.ts';
import { searchOf } from '../site.ts';
import { isOutside, showInFrame, tellBridge } from './answer.ts';
import { frameNotice, sendFrame, type FrameOwner } from './frame-document.ts';
import { payUrls } from '../client/pay-urls.ts';
import { moduleRequest } from './request.ts';

type FrameContext = Context<TenantEnv>;
const NO_VERSION = '00000000-0000-0000-0000-000000000000';
const LeaveForm = v.object({ url: v.pipe(v.string(), v.maxLength(2_000)) });

async function accountFor(panel: Panel, c: FrameContext, area: 'admin' | 'client'): Promise<SignedIn> {
  const account = await findAccount(panel, c, c.get('tenant').id, area);
  if (account === undefined)
    throw new HostError('NOT_GRANTED', 'You are not signed in any more. Reload the page.');
  setLanguage(c, { tenantLocale: c.get('tenant').locale, accountLocale: account.locale });
  return account;
}

/** For calls: the session, and the token that only the panel's own pages know. @throws NOT_GRANTED */
async function callerFor(panel: Panel, c: FrameContext, area: 'admin' | 'client'): Promise<SignedIn> {
  const account = await accountFor(panel, c, area);
  const token = c.req.header(CSRF_HEADER) ?? '';
  if (!sameText(token, account.csrfToken))
    throw new HostError('NOT_GRANTED', 'This request was refused: its page is too old. Reload it.');
  return account;
}

function caller(account: SignedIn, kind: 'admin' | 'client'): ModuleCaller {
  return { id: account.accountId, kind, permissions: account.permissions };
}

function owner(c: FrameContext, installation: { readonly version_id: string }): FrameOwner {
  return { origin: c.get('origin'), versionId: installation.version_id };
}

async function active(panel: Panel, c: FrameContext): Promise<ModuleOwner> {
  return panel.deps.modules.enabled(c.get('tenant').id, idFrom(c.req.param('installation')));
}

/** A service this account may see, with what its frames need. @throws NOT_FOUND, CONFLICT */
async function serviceFor(
  panel: Panel,
  c: FrameContext,
  account: SignedIn,
): Promise<{ id: string; installation: InstallationRow }> {
  if (account.kind === 'admin') requirePermission(account.permissions, 'services.view');
  let query = panel.deps.db
    .selectFrom('services')
    .select(['id', 'installation_id'])
    .where('tenant_id', '=', c.get('tenant').id)
    .where('id', '=', idFrom(c.req.param('service')));
  if (account.kind === 'client') query = query.where('client_id', '=', account.accountId);
  const row = await query.executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such service.');
  const installation = await installationOf(panel, c.get('tenant').id, row.installation_id);
  if (!runs(installation.status)) throw new HostError('CONFLICT', 'This service’s module is not enabled.');
  return { id: row.id, installation };
}

/** @throws NOT_FOUND for a tab the version did not declare */
function declaredTab(installation: InstallationRow, tab: string): string {
  const declared = v.safeParse(v.pick(Declaration, ['tabs']), installation.declaration);
  const found = declared.success ? declared.output.tabs.find(({ key }) => key === tab) : undefined;
  if (found === undefined) throw new HostError('NOT_FOUND', 'The module has no such tab.');
  return found.key;
}

function isCall(c: Context): boolean {
  return c.req.header(CSRF_HEADER) !== undefined;
}

export function moduleFrames(panel: Panel): Hono<TenantEnv> {
  const app = new Hono<TenantEnv>();
  app.onError((error, c) => frameError(panel, c, error));
  adminFrames(app, panel);
  serviceFrames(app, panel, 'admin', '/service');
  serviceFrames(app, panel, 'client', '/client');
  payFrames(app, panel);
  app.all('*', nothingHere);
  return app;
}

/** In a frame an error is a notice, for the bridge it is data; an error page of the panel would refuse to be framed. */
function frameError(panel: Panel, c: FrameContext, error: unknown): Response {
  const known = error instanceof HostError && error.code !== 'INTERNAL' ? error : undefined;
  const id = requestIdOf(c);
  if (known === undefined)
    panel.deps.reportError(error, { id, method: c.req.method, path: new URL(c.req.url).pathname });
  // An error may come before it is known who reads it.
  const message = said(
    c.get('lang') ?? FIRST_LANGUAGE,
    known?.message ?? `Something went wrong on our side. Error number ${id}.`,
  );
  const code = known?.code ?? 'INTERNAL';
  if (isCall(c)) return c.json({ error: { code, message, id } }, statusOf(code));
  return sendFrame(
    panel,
    c,
    { origin: c.get('origin') ?? '', versionId: NO_VERSION },
    frameNotice(c.get('t')('layout.frame_failed'), message),
    502,
  );
}

function adminFrames(app: Hono<TenantEnv>, panel: Panel): void {
  const { modules } = panel.deps;
  const seenUrl = (c: FrameContext, { type, name }: ModuleOwner, path: string): string =>
    `${c.get('origin')}/admin/modules/${type}/${name}/${path}${searchOf(c.req.url)}`;

  app.get('/:installation/page/:path{.+}', async (c) => {
    const account = await accountFor(panel, c, 'admin');
    const installation = await active(panel, c);
    const path = c.req.param('path');
    const request = await moduleRequest(c, { url: seenUrl(c, installation, path), headers: 'browser' });
    const response = await modules.adminPage({
      installationId: installation.id,
      path,
      request,
      account: caller(account, 'admin'),
    });
    return showInFrame(
      panel,
      c,
      owner(c, installation),
      response,
      `${c.get('tenantBase')}/m/${installation.id}/page/`,
    );
  });

  app.all('/:installation/call/:path{.+}', async (c) => {
    const account = await callerFor(panel, c, 'admin');
    const installation = await active(panel, c);
    const path = c.req.param('path');
    const request = await moduleRequest(c, { url: seenUrl(c, installation, path), headers: 'browser' });
    const response = await modules.adminPage({
      installationId: installation.id,
      path,
      request,
      account: caller(account, 'admin'),
    });
    return tellBridge(panel, c, owner(c, installation), response);
  });

  app.get('/:installation/product/:product', async (c) => {
    const account = await accountFor(panel, c, 'admin');
    requirePermission(account.permissions, 'products.manage');
    const installation = await active(panel, c);
    const product = c.req.param('product');
    const productId = product === 'new' ? null : await ownProduct(panel, c, idFrom(product), installation.id);
    const response = await modules.productPage({
      installationId: installation.id,
      productId,
      account: caller(account, 'admin'),
    });
    return showInFrame(
      panel,
      c,
      owner(c, installation),
      response,
      `${c.get('tenantBase')}/m/${installation.id}/page/`,
    );
  });

  app.get('/:installation/instance/:instance', async (c) => {
    const account = await accountFor(panel, c, 'admin');
    requirePermission(account.permissions, 'modules.manage');
    const installation = await active(panel, c);
    const instanceId = await ownInstance(panel, c, installation.id);
    const response = await modules.settingsPage({ instanceId, account: caller(account, 'admin') });
    const pages = `${c.get('tenantBase')}/m/${installation.id}/page/`;
    return showInFrame(panel, c, owner(c, installation), response, pages);
  });

  app.post('/:installation/leave', async (c) => {
    await callerFor(panel, c, 'admin');
    return c.json({ allowed: await mayLeave(panel, c, { installationId: (await active(panel, c)).id }) });
  });
}

async function ownInstance(panel: Panel, c: FrameContext, installationId: string): Promise<string> {
  const row = await panel.deps.db
    .selectFrom('instances')
    .select('id')
    .where('tenant_id', '=', c.get('tenant').id)
    .where('installation_id', '=', installationId)
    .where('id', '=', idFrom(c.req.param('instance')))
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such instance.');
  return row.id;
}

async function ownProduct(
  panel: Panel,
  c: FrameContext,
  productId: string,
  installationId: string,
): Promise<string> {
  const row = await panel.deps.db
    .selectFrom('products')
    .select('id')
    .where('tenant_id', '=', c.get('tenant').id)
    .where('installation_id', '=', installationId)
    .where('id', '=', productId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such product.');
  return row.id;
}

async function mayLeave(
  panel: Panel,
  c: FrameContext,
  of: { installationId: string; instanceId?: string },
): Promise<boolean> {
  const body = v.safeParse(LeaveForm, await c.req.json().catch(() => undefined));
  if (!body.success || !isOutside(body.output.url) || URL.parse(body.output.url) === null) return false;
  return panel.deps.modules.mayLeaveTo(of, body.output.url);
}

function serviceFrames(app: Hono<TenantEnv>, panel: Panel, area: 'admin' | 'client', prefix: string): void {
  const { modules } = panel.deps;
  const pages = (c: FrameContext, serviceId: string): string =>
    `${c.get('tenantBase')}/m${prefix}/${serviceId}/`;

  app.post(`${prefix}/:service/leave`, async (c) => {
    const account = await callerFor(panel, c, area);
    const { installation } = await serviceFor(panel, c, account);
    return c.json({ allowed: await mayLeave(panel, c, { installationId: installation.id }) });
  });

  if (area === 'admin')
    app.get(`${prefix}/:service/page`, async (c) => {
      const account = await accountFor(panel, c, area);
      const { id, installation } = await serviceFor(panel, c, account);
      const response = await modules.servicePage({ serviceId: id, account: caller(account, area) });
      return showInFrame(panel, c, owner(c, installation), response, pages(c, id));
    });

  app.get(`${prefix}/:service/:tab`, async (c) => {
    const account = await accountFor(panel, c, area);
    const { id, installation } = await serviceFor(panel, c, account);
    const tab = declaredTab(installation, c.req.param('tab'));
    const response = await modules.clientTab({ serviceId: id, tab, account: caller(account, area) });
    return showInFrame(panel, c, owner(c, installation), response, pages(c, id));
  });

  app.all(`${prefix}/:service/:tab/call`, async (c) => {
    const account = await callerFor(panel, c, area);
    const { id, installation } = await serviceFor(panel, c, account);
    const tab = declaredTab(installation, c.req.param('tab'));
    const url = `${c.get('origin')}/services/${id}/${tab}${new URL(c.req.url).search}`;
    const request = await moduleRequest(c, { url, headers: 'browser' });
    const response = await modules.clientCall({
      serviceId: id,
      tab,
      request,
      account: caller(account, area),
    });
    return tellBridge(panel, c, owner(c, installation), response);
  });
}

/** What a gateway shows a client who chose it, as it was kept a moment ago, else asked for anew. */
function payFrames(app: Hono<TenantEnv>, panel: Panel): void {
  const prefix = '/pay/:invoice/:instance';
  const read = async (c: FrameContext, account: SignedIn) => {
    const invoiceId = idFrom(c.req.param('invoice'));
    const instanceId = idFrom(c.req.param('instance'));
    const gateways = await panel.deps.gateways.offered(c.get('tenant').id);
    const gateway = gateways.find((offered) => offered.instanceId === instanceId);
    if (gateway === undefined) throw new HostError('NOT_FOUND', 'This way to pay is not offered any more.');
    const installation = await installationOf(panel, c.get('tenant').id, gateway.installationId);
    return { ids: { accountId: account.accountId, invoiceId, instanceId }, installation };
  };

  const inputOf = (c: FrameContext, account: SignedIn, ids: { invoiceId: string; instanceId: string }) => ({
    tenantId: c.get('tenant').id,
    invoiceId: ids.invoiceId,
    instanceId: ids.instanceId,
    account: caller(account, 'client'),
    ...payUrls(c, ids),
  });

  app.get(`${prefix}/page`, async (c) => {
    const account = await accountFor(panel, c, 'client');
    const { ids, installation } = await read(c, account);
    const kept = panel.payPages.take(c.req.query('page') ?? '', { what: 'page', ...ids }, panel.deps.now());
    const response: ModuleResponse =
      kept === undefined
        ? await panel.deps.gateways.pay(inputOf(c, account, ids))
        : { kind: 'html', status: 200, html: kept };
    const pages = `${c.get('tenantBase')}/m/pay/${ids.invoiceId}/${ids.instanceId}/`;
    return showInFrame(panel, c, owner(c, installation), response, pages);
  });

  app.post(`${prefix}/call/*`, async (c) => {
    const account = await callerFor(panel, c, 'client');
    const { ids, installation } = await read(c, account);
    const request = await moduleRequest(c, {
      url: `${c.get('origin')}/invoices/${ids.invoiceId}`,
      headers: 'browser',
    });
    const input = inputOf(c, account, ids);
    const response = await panel.deps.gateways.submit({ ...input, request });
    if (response.kind !== 'redirect') return tellBridge(panel, c, owner(c, installation), response);
    // Where it leads was compared with the grant. The panel goes there, not the frame: by the page that names the site, or to its own.
    const origin = c.get('origin');
    const isOurs = response.to === input.returnUrl || response.to === input.cancelUrl;
    const way = `${c.get('tenantBase')}/invoices/${ids.invoiceId}/pay/${ids.instanceId}/leave`;
    const to = isOurs
      ? response.to.slice(origin.length)
      : `${way}?to=${panel.payPages.put({ what: 'address', ...ids }, response.to, panel.deps.now())}`;
    return c.json({ kind: 'panel', status: 303, to });
  });

  app.post(`${prefix}/leave`, async (c) => {
    const account = await callerFor(panel, c, 'client');
    const { ids, installation } = await read(c, account);
    const of = { installationId: installation.id, instanceId: ids.instanceId };
    return c.json({ allowed: await mayLeave(panel, c, of) });
  });
}
