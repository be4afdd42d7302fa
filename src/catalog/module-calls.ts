/**
 * Entries into a module that answer a browser: admin pages and API routes, client tabs and their requests. A name from a request is
 * looked up in what the version declared; permission is checked before any module code runs.
 */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { ModuleCall, ModuleRequest, ModuleResponse } from '../../sandbox/contract/invocation.ts';
import type { Route } from '../../sandbox/contract/kinds/module.ts';
import { requirePermission as requirePanel } from '../auth/permissions.ts';
import type { ServiceStatus } from '../billing/service-status.ts';
import type { Tables } from '../database/tables.ts';
import type { ModuleCaller, ModuleCalls, ModuleOwner } from '../web/deps.ts';
import { responseOf } from './answers.ts';
import type { Installation, Installations } from './installations.ts';
import { settingsOf } from './instances.ts';
import { InvocationFailed, type Invoked, type InvokeOptions, type Invoker } from './invoke.ts';
import { mayLeaveBy } from './leave.ts';
import { onModule } from './products.ts';
import type { Versions } from './versions.ts';
import { webhook } from './webhooks.ts';

export interface ModuleCallsDeps {
  readonly db: Kysely<Tables>;
  readonly installations: Installations;
  readonly versions: Versions;
  readonly invoker: Invoker;
}

const Json = v.record(v.string(), v.unknown());
const VERBS: Readonly<Record<ModuleRequest['method'], string>> = {
  GET: 'Get',
  POST: 'Post',
  PUT: 'Put',
  DELETE: 'Delete',
};

export function createModuleCalls(deps: ModuleCallsDeps): ModuleCalls {
  return {
    enabled: (tenantId, installationId) => enabled(deps, tenantId, installationId),
    adminPage: (input) => adminPage(deps, input),
    productPage: (input) => productPage(deps, input),
    settingsPage: (input) => settingsPage(deps, input),
    servicePage: (input) => servicePage(deps, input),
    clientTab: (input) => clientTab(deps, input),
    clientCall: (input) => clientCall(deps, input),
    mayLeaveTo: async ({ installationId, instanceId }, url) => {
      const installation = await deps.installations.get(installationId);
      const instance = instanceId === undefined ? null : await deps.installations.instance(instanceId);
      const settings = settingsOf(installation, instance);
      const grant = mayLeaveBy(installation, settings, url, ['redirect', 'http']);
      if (grant !== undefined) deps.invoker.used(installationId, grant);
      return grant !== undefined;
    },
    asset: (versionId, path) => asset(deps, versionId, path),
    webhook: (input) => webhook(deps, input),
  };
}

async function enabled(
  deps: ModuleCallsDeps,
  tenantId: string,
  installationId: string,
): Promise<ModuleOwner> {
  const { tenant, status, version } = await deps.installations.get(installationId);
  if (tenant.id !== tenantId) throw new HostError('NOT_FOUND', 'There is no such module here.');
  // A newer version that waits for consent ('restricted') does not stop the one in force.
  if (status !== 'active' && status !== 'restricted')
    throw new HostError('CONFLICT', 'This module is not enabled.');
  return { id: installationId, type: version.type, name: version.name, version_id: version.id };
}

/** Matches a path against a route's uri; returns the `{param}` parts, as they are: the path was decoded when it was read. */
export function matchRoute(uri: string, path: string): Record<string, string> | undefined {
  const wanted = uri.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const text = given[index] ?? '';
    const name = /^\{([A-Za-z_]\w*)\}$/.exec(part)?.[1];
    if (name !== undefined && text !== '') params[name] = text;
    else if (part !== text) return undefined;
  }
  return params;
}

function findRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): { route: Route; params: Record<string, string> } | undefined {
  const verb = method.toLowerCase();
  // One that is written out goes before one with parameters, as its author means it and as the panel shows it.
  const written = routes.find((route) => route.method === verb && route.uri === path && !path.includes('{'));
  if (written !== undefined) return { route: written, params: {} };
  for (const route of routes) {
    const params = route.method === verb ? matchRoute(route.uri, path) : undefined;
    if (params !== undefined) return { route, params };
  }
  return undefined;
}

/** Files of published versions only: what waits for review or was revoked is shown to nobody. */
async function asset(
  deps: ModuleCallsDeps,
  versionId: string,
  path: string,
): Promise<Uint8Array | undefined> {
  const published = await deps.db
    .selectFrom('module_versions')
    .select('id')
    .where('id', '=', versionId)
    .where('status', '=', 'published')
    .executeTakeFirst();
  return published === undefined ? undefined : (await deps.versions.contents(versionId)).assets.get(path);
}

/** Enters a module for somebody. A client learns that it failed, not how: that is for the admin and stands in the log. */
async function enter(
  deps: ModuleCallsDeps,
  options: InvokeOptions & { readonly account: ModuleCaller },
): Promise<Invoked> {
  try {
    return await deps.invoker.invoke(options);
  } catch (cause) {
    if (options.account.kind !== 'client' || !(cause instanceof InvocationFailed)) throw cause;
    throw new HostError(cause.code, 'This did not work. Please try again later, or contact us.', { cause });
  }
}

/** The key under which an account holds a module's permission. */
export function permissionKey(
  version: { readonly type: string; readonly name: string },
  key: string,
): string {
  return `${version.type}-${version.name}-${key}`;
}

function requirePermission(installation: Installation, account: ModuleCaller, key: string): void {
  const wanted = permissionKey(installation.version, key);
  if (!account.permissions.includes('*') && !account.permissions.includes(wanted))
    throw new HostError('NOT_GRANTED', `Your role lacks the permission ${wanted}.`);
}

async function adminPage(
  deps: ModuleCallsDeps,
  input: Parameters<ModuleCalls['adminPage']>[0],
): Promise<ModuleResponse> {
  const installation = await deps.installations.get(input.installationId);
  const { declaration } = installation.version;
  const path = input.path.split('?')[0] ?? '';
  const found = findRoute([...declaration.web_routes, ...declaration.api_routes], input.request.method, path);
  if (found === undefined) throw new HostError('NOT_FOUND', 'The module has no such page.');
  requirePermission(installation, input.account, found.route.permission);
  const [controller = '', method = ''] = found.route.controller.split('@');
  const request = { ...input.request, params: found.params };
  const { results } = await deps.invoker.invoke({
    installationId: input.installationId,
    purpose: 'request',
    account: input.account,
    calls: [{ target: { on: 'controller', controller }, method, args: [], request }],
  });
  return withRouteNames(responseOf(results.at(-1)), declaration.web_routes);
}

/** redirect('servers') names a route; the panel wants its path. */
function withRouteNames(response: ModuleResponse, routes: readonly Route[]): ModuleResponse {
  if (response.kind !== 'redirect') return response;
  const route = routes.find((candidate) => candidate.name === response.to);
  return route === undefined ? response : { ...response, to: route.uri };
}

async function productPage(
  deps: ModuleCallsDeps,
  input: Parameters<ModuleCalls['productPage']>[0],
): Promise<ModuleResponse> {
  const stored =
    input.productId === null
      ? { data: {} }
      : await deps.db
          .selectFrom('products')
          .select('data')
          .where('id', '=', input.productId)
          .where('installation_id', '=', input.installationId)
          .executeTakeFirst();
  if (stored === undefined) throw new HostError('NOT_FOUND', 'There is no such product of this module.');
  const { results } = await deps.invoker.invoke({
    installationId: input.installationId,
    productId: input.productId,
    purpose: 'request',
    account: input.account,
    calls: [onModule('getProductData', stored.data), onModule('getProductPage')],
  });
  return responseOf(results.at(-1));
}

async function settingsPage(
  deps: ModuleCallsDeps,
  input: Parameters<ModuleCalls['settingsPage']>[0],
): Promise<ModuleResponse> {
  const instance = await deps.installations.instance(input.instanceId);
  const { results } = await deps.invoker.invoke({
    installationId: instance.installationId,
    instanceId: instance.id,
    purpose: 'request',
    account: input.account,
    calls: [{ target: { on: 'runtime' }, method: 'settingsPage', args: [] }],
  });
  return responseOf(results.at(-1));
}

interface ServiceOfModule {
  readonly installationId: string;
  readonly status: ServiceStatus;
  readonly prepare: readonly ModuleCall[];
}

async function readService(deps: ModuleCallsDeps, serviceId: string): Promise<ServiceOfModule> {
  const row = await deps.db
    .selectFrom('services as service')
    .innerJoin('products as product', 'product.id', 'service.product_id')
    .select([
      'service.installation_id',
      'service.status',
      'service.data',
      'service.provision_data',
      'product.data as product_data',
    ])
    .where('service.id', '=', serviceId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such service.');
  const data = { ...v.parse(Json, row.data), ...v.parse(Json, row.provision_data) };
  return {
    installationId: row.installation_id,
    status: row.status,
    prepare: [onModule('getProductData', row.product_data), onModule('getServiceData', data)],
  };
}

async function servicePage(
  deps: ModuleCallsDeps,
  input: Parameters<ModuleCalls['servicePage']>[0],
): Promise<ModuleResponse> {
  const service = await readService(deps, input.serviceId);
  const { results } = await deps.invoker.invoke({
    installationId: service.installationId,
    serviceId: input.serviceId,
    purpose: 'request',
    account: input.account,
    calls: [...service.prepare, onModule('getServicePage')],
  });
  return responseOf(results.at(-1));
}

/** A service that is being made may be looked at, so that its client sees how far it is; it is used once it is active. */
const READABLE: readonly ServiceStatus[] = ['pending', 'active'];

/** Whatever the reason why a client may not, it is not theirs to know. @throws CONFLICT */
function requireUsable(
  service: ServiceOfModule,
  installation: Installation,
  { account, reads }: { readonly account: ModuleCaller; readonly reads: boolean },
): void {
  if (account.kind !== 'client') return;
  const usable = reads ? READABLE.includes(service.status) : service.status === 'active';
  if (!usable || installation.pausedReason !== null)
    throw new HostError('CONFLICT', 'This service cannot be used at the moment.');
}

/** The tab's requests act on the service; only reading is for whoever may only look. @throws NOT_GRANTED */
function requireMayAct(account: ModuleCaller, method: ModuleRequest['method']): void {
  if (account.kind === 'admin' && method !== 'GET') requirePanel(account.permissions, 'services.manage');
}

async function declaredTab(
  deps: ModuleCallsDeps,
  service: ServiceOfModule,
  tab: string,
  use: { readonly account: ModuleCaller; readonly reads: boolean },
): Promise<{ installation: Installation; template: string }> {
  const installation = await deps.installations.get(service.installationId);
  requireUsable(service, installation, use);
  const found = installation.version.declaration.tabs.find((candidate) => candidate.key === tab);
  if (found === undefined) throw new HostError('NOT_FOUND', 'The module has no such tab.');
  return { installation, template: found.template };
}

async function clientTab(
  deps: ModuleCallsDeps,
  input: Parameters<ModuleCalls['clientTab']>[0],
): Promise<ModuleResponse> {
  const service = await readService(deps, input.serviceId);
  const { installation, template } = await declaredTab(deps, service, input.tab, {
    account: input.account,
    reads: true,
  });
  const variables = `variables_${input.tab}`;
  const render: ModuleCall = {
    target: { on: 'runtime' },
    method: 'renderTab',
    args: [template, installation.version.methods.has(variables) ? variables : null],
  };
  const { results } = await enter(deps, {
    installationId: service.installationId,
    serviceId: input.serviceId,
    purpose: 'request',
    account: input.account,
    calls: [...service.prepare, render],
  });
  return responseOf(results.at(-1));
}

async function clientCall(
  deps: ModuleCallsDeps,
  input: Parameters<ModuleCalls['clientCall']>[0],
): Promise<ModuleResponse> {
  const service = await readService(deps, input.serviceId);
  const { installation } = await declaredTab(deps, service, input.tab, {
    account: input.account,
    reads: input.request.method === 'GET',
  });
  requireMayAct(input.account, input.request.method);
  const method = `controllerClient_${input.tab}${VERBS[input.request.method]}`;
  if (!installation.version.methods.has(method))
    throw new HostError('NOT_FOUND', 'The module does not answer such a request.');
  const call: ModuleCall = { target: { on: 'module' }, method, args: [], request: input.request };
  const { results } = await enter(deps, {
    installationId: service.installationId,
    serviceId: input.serviceId,
    purpose: 'request',
    account: input.account,
    calls: [...service.prepare, call],
  });
  return responseOf(results.at(-1));
}
