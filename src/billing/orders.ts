/** Orders and what is done with a service afterwards. The module checks the order's data; the host queues the work through the module's own methods. */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { ServiceAction } from '../../sandbox/contract/kinds/product.ts';
import { judgeAction, readSaved, valueOf, type Saved } from '../catalog/answers.ts';
import { withOptions } from '../catalog/field-options.ts';
import { checkFields } from '../catalog/fields.ts';
import type { Installations } from '../catalog/installations.ts';
import { InvocationFailed, type Invoker } from '../catalog/invoke.ts';
import { onModule } from '../catalog/products.ts';
import { storable } from '../database/storable.ts';
import type { Tables } from '../database/tables.ts';
import type { Billing, FormResult, FormView } from '../web/deps.ts';
import { moveBack, moveToProduct } from './change-package.ts';
import { priceOf } from './change-price.ts';
import { isPeriod } from './periods.ts';
import {
  createAsked,
  findOrder,
  type Ordered,
  type OrderInput,
  placeOrder,
  type SoldProduct,
  tooManyOrders,
} from './place-order.ts';
import { forgetRenewals, nextRenewal, renewalTold } from './renewals.ts';
import { tellOfAction, tellOfFailedAction } from './service-events.ts';
import { setProvisionStatus, type ServiceStatus } from './service-status.ts';

export interface BillingDeps {
  readonly db: Kysely<Tables>;
  readonly installations: Installations;
  readonly invoker: Invoker;
}

const Json = v.record(v.string(), v.unknown());

/** Which service statuses an action makes sense in. */
const ALLOWED: Readonly<Record<ServiceAction, readonly ServiceStatus[]>> = {
  create: ['pending', 'manual'],
  suspend: ['active'],
  unsuspend: ['suspended'],
  termination: ['pending', 'active', 'suspended', 'manual', 'fraud'],
  change_package: ['active'],
  renew: ['active'],
};
const WORDS: Readonly<Record<ServiceAction, string>> = {
  create: 'created',
  suspend: 'suspended',
  unsuspend: 'resumed',
  termination: 'terminated',
  change_package: 'moved to another product',
  renew: 'renewed',
};

export function createBilling(deps: BillingDeps): Billing {
  return {
    orderForm: (productId) => orderForm(deps, productId),
    order: (input) => order(deps, input),
    serviceAction: (input) => serviceAction(deps, input),
  };
}

interface OrderedProduct extends SoldProduct {
  readonly installationId: string;
}

async function readProduct(deps: BillingDeps, productId: string): Promise<OrderedProduct> {
  const row = await deps.db.selectFrom('products').selectAll().where('id', '=', productId).executeTakeFirst();
  if (row?.installation_id == null) throw new HostError('NOT_FOUND', 'There is no such product.');
  if (!row.active) throw new HostError('CONFLICT', 'This product is not sold any more.');
  return {
    id: row.id,
    tenantId: row.tenant_id,
    installationId: row.installation_id,
    name: row.name,
    payFirst: row.pay_first,
    serviceName: row.service_name,
  };
}

/** The product, if its module runs. Why it does not is for the admin, on the module's page, and not for who orders. */
async function readSold(deps: BillingDeps, productId: string): Promise<OrderedProduct> {
  const product = await readProduct(deps, productId);
  const { status, pausedReason } = await deps.installations.get(product.installationId);
  if (pausedReason !== null || (status !== 'active' && status !== 'restricted'))
    throw new HostError('CONFLICT', 'This product cannot be ordered at the moment: its module does not run.');
  return product;
}

async function orderForm(deps: BillingDeps, productId: string): Promise<FormView> {
  const product = await readSold(deps, productId);
  const { version } = await deps.installations.get(product.installationId);
  const { results } = await deps.invoker.invoke({
    installationId: product.installationId,
    productId,
    purpose: 'request',
    calls: [onModule('getServiceData', {})],
  });
  const shown = new Set(
    version.declaration.service_fields.filter((field) => field.type !== 'password').map((field) => field.key),
  );
  const data = v.safeParse(Json, valueOf(results[0]));
  const values = Object.fromEntries(
    Object.entries(data.success ? data.output : {}).filter(([key]) => shown.has(key)),
  );
  const at = { installationId: product.installationId, productId };
  const fields = await withOptions(deps.invoker, at, version.declaration.service_fields, {});
  return { fields, values, secretsSet: [] };
}

/** Checks an order's data: the typed fields, then saveServiceData, then getServiceData with its defaults. */
async function checkOrder(
  deps: BillingDeps,
  product: OrderedProduct,
  input: Readonly<Record<string, unknown>>,
): Promise<Saved> {
  const { version } = await deps.installations.get(product.installationId);
  const at = { installationId: product.installationId, productId: product.id };
  const fields = await withOptions(deps.invoker, at, version.declaration.service_fields, {});
  const checked = checkFields(fields, input);
  if (Object.keys(checked.errors).length > 0) return { ok: false, errors: checked.errors };
  const data = checked.values;
  const call = async (method: string, argument: unknown) => {
    const calls = [onModule(method, argument)];
    const { results } = await deps.invoker.invoke({
      installationId: product.installationId,
      productId: product.id,
      purpose: 'request',
      calls,
    });
    return results[0];
  };
  const saved = readSaved(await call('saveServiceData', data));
  if (!saved.ok) return saved;
  const complete = v.safeParse(Json, valueOf(await call('getServiceData', saved.data ?? data)));
  return { ok: true, data: complete.success ? complete.output : (saved.data ?? data) };
}

async function order(deps: BillingDeps, input: OrderInput): Promise<FormResult<Ordered>> {
  const product = await readSold(deps, input.productId);
  const client = await deps.db
    .selectFrom('accounts')
    .select('tenant_id')
    .where('id', '=', input.clientId)
    .where('kind', '=', 'client')
    .executeTakeFirst();
  if (client?.tenant_id !== product.tenantId) throw new HostError('NOT_FOUND', 'There is no such product.');
  const before = await findOrder(deps.db, input);
  if (before !== undefined) return { ok: true, ...before };
  const price = isPeriod(input.period)
    ? await deps.db
        .selectFrom('prices')
        .selectAll()
        .where('product_id', '=', product.id)
        .where('period', '=', input.period)
        .executeTakeFirst()
    : undefined;
  if (price === undefined) return { ok: false, errors: { period: ['Choose one of the periods offered.'] } };
  const tooMany = await tooManyOrders(deps.db, product.tenantId, input);
  if (tooMany !== undefined) return { ok: false, errors: { '': [tooMany] } };
  const checked = await checkOrder(deps, product, input.data);
  if (!checked.ok)
    return {
      ok: false,
      errors: checked.errors,
      ...(checked.message === undefined ? {} : { message: checked.message }),
    };
  const placed = await deps.db
    .transaction()
    .execute(async (trx) =>
      placeOrder(trx, { product, input, price, data: v.parse(Json, storable(checked.data ?? {})) }),
    );
  if (placed === undefined) return placedBefore(deps.db, input);
  // What waits for its payment is created when it is paid (duties.ts).
  if (placed.invoiceId === null) {
    await runAction(deps, placed.serviceId, product.installationId, 'create');
    await createAsked(deps.db, placed.serviceId);
  }
  return { ok: true, ...placed };
}

async function placedBefore(db: BillingDeps['db'], input: OrderInput): Promise<FormResult<Ordered>> {
  const before = await findOrder(db, input);
  if (before === undefined) throw new HostError('CONFLICT', 'The order could not be placed; send it again.');
  return { ok: true, ...before };
}

async function serviceAction(
  deps: BillingDeps,
  input: Parameters<Billing['serviceAction']>[0],
): Promise<{ message: string }> {
  const row = await deps.db
    .selectFrom('services')
    .selectAll()
    .where('id', '=', input.serviceId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such service.');
  const { version } = await deps.installations.get(row.installation_id);
  // What the provider has lost is made again; it is billed already.
  const lost = input.action === 'create' && row.status === 'active' && row.provision_status === 'not_found';
  if (!lost && !ALLOWED[input.action].includes(row.status)) {
    throw new HostError('CONFLICT', `A service that is ${row.status} cannot be ${WORDS[input.action]}.`);
  }
  const { own_methods: own } = version.declaration;
  if (!own.includes(input.action) && !version.methods.has(`${input.action}Job`)) {
    // Nothing that a module must have: without it there is nothing to tell.
    if (input.action === 'renew' && (await forgetRenewals(deps.db, row.id))) return { message: '' };
    throw new HostError(
      'CONFLICT',
      `This module has no ${input.action}Job(): its services cannot be ${WORDS[input.action]}.`,
    );
  }
  if (input.accountId !== null) await beginAnew(deps.db, row.id);
  if (input.action === 'renew') return renew(deps, row.id, row.installation_id);
  if (input.action === 'change_package') {
    const target = await readTarget(deps, row.installation_id, input.productId);
    await priceOf(deps.db, target, row.period);
    await deps.db.transaction().execute((trx) => moveToProduct(trx, row.id, target));
  }
  await runAction(deps, row.id, row.installation_id, input.action);
  return { message: `The service is being ${WORDS[input.action]}.` };
}

/** A person has taken a service up: what the host gave up with it, it may try again. */
async function beginAnew(db: BillingDeps['db'], serviceId: string): Promise<void> {
  await db
    .updateTable('services')
    .set({ host_tries: 0, host_gave_up_at: null })
    .where('id', '=', serviceId)
    .execute();
}

/** Tells the module of the oldest paid period that it was not told of. @throws CONFLICT if there is none, and as runAction() */
async function renew(
  deps: BillingDeps,
  serviceId: string,
  installationId: string,
): Promise<{ message: string }> {
  const renewal = await nextRenewal(deps.db, serviceId);
  if (renewal === undefined)
    throw new HostError('CONFLICT', 'No paid period of this service waits for its module.');
  await runAction(deps, serviceId, installationId, 'renew', [renewal.period]);
  await renewalTold(deps.db, serviceId, renewal.id);
  return { message: 'The service is being renewed.' };
}

async function readTarget(
  deps: BillingDeps,
  installationId: string,
  productId: string | undefined,
): Promise<string> {
  const product = productId === undefined ? undefined : await readProduct(deps, productId);
  if (product?.installationId !== installationId)
    throw new HostError('BAD_INPUT', 'Choose another product of the same module.');
  return product.id;
}

/**
 * Calls {action}() on the module, which queues its job. A refusal leaves the service 'failed', under its old product, with the reason in
 * its log; a module that was not entered at all (switched off, paused) has refused nothing, and the service stays as it is.
 */
async function runAction(
  deps: BillingDeps,
  serviceId: string,
  installationId: string,
  action: ServiceAction,
  args: readonly unknown[] = [],
): Promise<void> {
  await tellOfAction(deps.db, action, serviceId);
  try {
    await deps.invoker.invoke({
      installationId,
      serviceId,
      purpose: 'request',
      calls: [onModule(action, ...args)],
      judge: judgeAction,
    });
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    await deps.db.transaction().execute(async (trx) => {
      if (action === 'change_package') await moveBack(trx, serviceId);
      // What is paid runs on, renewed or not.
      if (error instanceof InvocationFailed && action !== 'renew')
        await setProvisionStatus(trx, serviceId, 'failed', 'host');
      await tellOfFailedAction(trx, action, serviceId, error.message);
    });
    throw error;
  }
}
