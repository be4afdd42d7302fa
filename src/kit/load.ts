/** `load('Product/X')`: packs a module's folder, publishes, grants and enables it in a real host, and gives it to a test. */
import { hasInstances } from '../../sandbox/contract/kinds.ts';
import type { Answer } from '../../sandbox/contract/grant.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Bulkhead } from '../host.ts';
import type { FakeCloudOptions } from '../fakecloud/options.ts';
import { type FakeCloud, spawnFakeCloud } from '../fakecloud/spawn.ts';
import { generateKeyPair } from '../store/package/keys.ts';
import { packModule } from '../store/package/pack.ts';
import { signPackage } from '../store/package/sign.ts';
import { fakeApi, type FakeApi, type Respond } from './api.ts';
import { findModule } from './folder.ts';
import { type KitDatabases, type KitTenant, makeTenant, useHost } from './host.ts';
import { KitModule, type Values } from './module.ts';

export interface LoadOptions {
  /** Where the module is; found by its name below the present folder and those above it if absent. */
  readonly folder?: string;
  /** Everything the module asks for is granted, but for what is named here by the ask's id, such as 'http.hosts:api.example.com'. */
  readonly grants?: {
    readonly without?: readonly string[];
    readonly amounts?: Readonly<Record<string, number>>;
  };
  /** What the admin fills in; a function gets the addresses of the fake cloud and of `api`. */
  readonly settings?: Values | ((others: Others) => Values);
  /** Answers what the module asks of somebody else's service; it is started on loopback, and the module may reach it. */
  readonly api?: Respond;
  /** Starts a fake cloud (DigitalOcean-, Stripe- and Slack-shaped APIs, a mail server) that the module may reach. */
  readonly cloud?: boolean | Partial<FakeCloudOptions>;
  /** Ports of this machine that the module may reach: an API of the test's own. */
  readonly ports?: readonly number[];
  readonly databases?: KitDatabases;
}

/** Who else is there: what load() started for the module to speak to. */
export interface Others {
  readonly cloud: FakeCloud | undefined;
  readonly api: FakeApi | undefined;
}

type Method = (...args: never[]) => unknown;
/** A module's class as a test calls it: every method takes part of its arguments and answers later. */
export type Remote<T> = {
  readonly [K in keyof T as T[K] extends Method ? K : never]: T[K] extends (...args: infer A) => infer R
    ? (...args: Partial<A>) => Promise<Awaited<R>>
    : never;
};
/** Any method by name, for tests that do not import the module's class. */
export type AnyMethods = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;
/** The kit's own names go before the module's; call('request') reaches a method of the module's that has one of them. */
export type Loaded<T> = KitModule & Omit<T extends object ? Remote<T> : AnyMethods, keyof KitModule>;

function portOf(address: string): number {
  return Number(new URL(address).port);
}

async function startCloud(wanted: LoadOptions['cloud']): Promise<FakeCloud | undefined> {
  if (wanted === undefined || wanted === false) return undefined;
  return spawnFakeCloud({ provisioningMs: 0, actionMs: 0, ...(wanted === true ? {} : wanted) });
}

async function install(
  bulkhead: Bulkhead,
  folder: string,
  tenant: KitTenant,
): Promise<{ installationId: string; type: string }> {
  // A publisher of its own each time: the same version of a module may be loaded again after it was changed.
  const publisher = `kit-${tenant.tenantId.slice(0, 8)}`;
  const { privateKeyPem } = generateKeyPair();
  const bytes = await signPackage(await packModule(folder), { publisher, privateKey: privateKeyPem });
  const { versionId } = await bulkhead.publish(bytes, { status: 'published' });
  const { tenantId, adminId } = tenant;
  const { installationId } = await bulkhead.panel.catalog.install({
    tenantId,
    versionId,
    accountId: adminId,
  });
  const { type } = await bulkhead.panel.db
    .selectFrom('module_versions as version')
    .innerJoin('modules as module', 'module.id', 'version.module_id')
    .select('module.type')
    .where('version.id', '=', versionId)
    .executeTakeFirstOrThrow();
  return { installationId, type };
}

async function grant(
  bulkhead: Bulkhead,
  installationId: string,
  accountId: string,
  { without = [], amounts = {} }: NonNullable<LoadOptions['grants']>,
): Promise<void> {
  const { lines } = await bulkhead.panel.catalog.consent(installationId);
  for (const id of [...without, ...Object.keys(amounts)])
    if (!lines.some((line) => line.id === id))
      throw new HostError(
        'BAD_INPUT',
        `grants: the module asks for no "${id}"; it asks for ${lines.map((line) => line.id).join(', ')}.`,
      );
  const answers = Object.fromEntries(
    lines.map(({ id }): [string, Answer] => {
      const amount = amounts[id];
      if (without.includes(id)) return [id, { granted: false }];
      return [id, amount === undefined ? { granted: true } : { granted: true, amount }];
    }),
  );
  await bulkhead.panel.catalog.grant({ installationId, answers, accountId });
}

function refuseUnless(saved: { ok: boolean; errors?: unknown }): void {
  if (!saved.ok)
    throw new HostError('BAD_INPUT', `The settings were refused: ${JSON.stringify(saved.errors)}`);
}

/** Settings, then activate(); a type with instances gets one, with the settings. @returns the instance's id */
async function enable(
  bulkhead: Bulkhead,
  installationId: string,
  type: string,
  how: { readonly accountId: string; readonly values: Values },
): Promise<string | null> {
  const { accountId, values } = how;
  const { catalog, instances } = bulkhead.panel;
  if (!hasInstances(type)) {
    refuseUnless(await catalog.saveSettings({ installationId, values, accountId }));
    await catalog.enable(installationId, accountId);
    return null;
  }
  await catalog.enable(installationId, accountId);
  const made = await instances.create({ installationId, name: 'Kit', accountId });
  if (!made.ok) throw new HostError('INTERNAL', JSON.stringify(made.errors));
  refuseUnless(await instances.save({ instanceId: made.instanceId, values, accountId }));
  await instances.setActive({ instanceId: made.instanceId, active: true, accountId });
  return made.instanceId;
}

/** What is neither the kit's nor a promise's business is a method of the module. */
function withMethods<T>(module: KitModule): Loaded<T> {
  return new Proxy(module, {
    get(target, name) {
      if (typeof name === 'symbol' || name === 'then' || name in target) {
        const own: unknown = Reflect.get(target, name, target);
        return typeof own === 'function' ? (own.bind(target) as unknown) : own;
      }
      return async (...args: unknown[]) => target.call(name, ...args);
    },
  }) as Loaded<T>;
}

/**
 * Loads a module into a host of the kit's: a real database, real runner processes, a tenant of its own. The first takes some seconds.
 * Close what you loaded (`await module.close()`, or `await using module = …`): the last one takes the host along.
 * @param name 'Product/MyCloudService'
 * @throws HostError with what the module must mend: what a store or a panel would say
 */
export async function load<T = undefined>(name: string, options: LoadOptions = {}): Promise<Loaded<T>> {
  const folder = options.folder ?? findModule(name);
  await using undo = new AsyncDisposableStack();
  const host = await useHost(options.databases);
  undo.defer(() => host.release());
  const cloud = await startCloud(options.cloud);
  if (cloud !== undefined) undo.use(cloud);
  const cloudPorts = cloud === undefined ? [] : [portOf(cloud.cloud), cloud.smtp.port];
  const api = options.api === undefined ? undefined : undo.use(await fakeApi(options.api));
  const apiPorts = api === undefined ? [] : [api.port];
  const { bulkhead } = host;
  const tenant = await makeTenant(bulkhead, [...(options.ports ?? []), ...cloudPorts, ...apiPorts]);
  const { installationId, type } = await install(bulkhead, folder, tenant);
  await grant(bulkhead, installationId, tenant.adminId, options.grants ?? {});
  const { settings = {} } = options;
  const values = typeof settings === 'function' ? settings({ cloud, api }) : settings;
  const instanceId = await enable(bulkhead, installationId, type, { accountId: tenant.adminId, values });
  const module = new KitModule({ ...tenant, host, name, folder, installationId, instanceId, cloud, api });
  undo.move();
  return withMethods<T>(module);
}
