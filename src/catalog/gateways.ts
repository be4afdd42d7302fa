/**
 * Paying through modules: which instances a client may choose, what one shows or where it sends the client, and the client's coming back.
 * Where a client is sent is compared here with what was granted, with the instance's own settings.
 */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { refusal } from '../../sandbox/contract/grant.ts';
import { hostInWords } from '../../sandbox/contract/host-pattern.ts';
import type { ModuleCall, ModuleRequest, ModuleResponse } from '../../sandbox/contract/invocation.ts';
import type { InvoiceView } from '../../sandbox/contract/kinds/payment.ts';
import { countTries } from '../auth/tries.ts';
import { canRefund, refundThroughGateway } from '../billing/gateway-refunds.ts';
import { readInvoiceView } from '../billing/invoice-view.ts';
import { BILLING_LIMITS } from '../billing/limits.ts';
import type { Tables } from '../database/tables.ts';
import type { Gateways, OfferedGateway, PayInput } from '../web/deps.ts';
import { responseOf } from './answers.ts';
import { mayLeaveBy } from './leave.ts';
import type { Installations } from './installations.ts';
import { settingsOf } from './instances.ts';
import { InvocationFailed, type Invoker } from './invoke.ts';
import { onModule } from './products.ts';

export interface GatewayDeps {
  readonly db: Kysely<Tables>;
  readonly installations: Installations;
  readonly invoker: Invoker;
}

const TYPE = 'Payment';
/** A payment page that has nothing to show is none. */
const PAY_METHOD = 'getClientAreaHtml';
const FORM_METHOD = 'clientAreaPost';
const RETURN_METHOD = 'onPaymentReturn';

export function createGateways(deps: GatewayDeps): Gateways {
  return {
    offered: (tenantId) => offered(deps.db, tenantId),
    pay: (input) => pay(deps, input),
    submit: (input) => submit(deps, input),
    returned: (input) => returned(deps, input),
    canRefund: (instanceId) => canRefund(deps, instanceId),
    refund: (input) => refundThroughGateway(deps, input),
  };
}

function enabled(db: Kysely<Tables>, tenantId: string) {
  return db
    .selectFrom('instances as instance')
    .innerJoin('installations as installation', 'installation.id', 'instance.installation_id')
    .innerJoin('modules as module', 'module.id', 'installation.module_id')
    .select(['instance.id', 'instance.name', 'instance.active', 'installation.id as installation_id'])
    .where('instance.tenant_id', '=', tenantId)
    .where('module.type', '=', TYPE)
    .where('installation.status', 'in', ['active', 'restricted'])
    .where('installation.paused_at', 'is', null);
}

async function offered(db: Kysely<Tables>, tenantId: string): Promise<OfferedGateway[]> {
  const rows = await enabled(db, tenantId)
    .innerJoin('module_versions as version', 'version.id', 'installation.version_id')
    .select(['version.manifest', 'version.declaration'])
    .where('instance.active', '=', true)
    .orderBy('instance.created_at')
    .execute();
  return rows.map(({ id, installation_id: installationId, name, manifest }) => ({
    instanceId: id,
    installationId,
    name,
    manifest,
  }));
}

/** Open, and the very client's. @throws HostError NOT_FOUND, CONFLICT */
async function invoiceToPay(
  deps: GatewayDeps,
  { tenantId, clientId, invoiceId }: { tenantId: string; clientId: string; invoiceId: string },
): Promise<InvoiceView> {
  const invoice = await readInvoiceView(deps.db, tenantId, invoiceId);
  if (invoice === undefined || invoice.client.uuid !== clientId)
    throw new HostError('NOT_FOUND', 'There is no such invoice.');
  if (invoice.due_amount === 0) throw new HostError('CONFLICT', 'This invoice has nothing left to pay.');
  return invoice;
}

async function pay(deps: GatewayDeps, input: PayInput): Promise<ModuleResponse> {
  return begin(deps, input, 'request', (invoice) => onModule(PAY_METHOD, { invoice }));
}

/** A form in what pay() showed. It is the client's word and no proof, as the address a client comes back by is none. */
async function submit(
  deps: GatewayDeps,
  { request, ...input }: PayInput & { readonly request: ModuleRequest },
): Promise<ModuleResponse> {
  return begin(deps, input, 'delivery', (invoice) => ({ ...onModule(FORM_METHOD, { invoice }), request }));
}

async function begin(
  deps: GatewayDeps,
  input: PayInput,
  purpose: 'request' | 'delivery',
  callOf: (invoice: InvoiceView) => ModuleCall,
): Promise<ModuleResponse> {
  const invoice = await invoiceToPay(deps, { ...input, clientId: input.account.id });
  const gateway = await enabled(deps.db, input.tenantId)
    .where('instance.id', '=', input.instanceId)
    .where('instance.active', '=', true)
    .executeTakeFirst();
  if (gateway === undefined) throw new HostError('NOT_FOUND', 'This way to pay is not offered any more.');
  const call = callOf(invoice);
  const { version } = await deps.installations.get(gateway.installation_id);
  if (call.request !== undefined && !version.methods.has(call.method))
    throw new HostError('NOT_FOUND', 'This way to pay takes no forms; its module has no clientAreaPost().');
  await countBegun(deps, input.account.id);
  const response = await entered(async () => {
    const { results } = await deps.invoker.invoke({
      installationId: gateway.installation_id,
      instanceId: gateway.id,
      purpose,
      account: input.account,
      pay: { return_url: input.returnUrl, cancel_url: input.cancelUrl },
      calls: [call],
    });
    return responseOf(results.at(-1));
  });
  if (response.kind === 'redirect' && response.to !== input.returnUrl && response.to !== input.cancelUrl)
    await checkRedirect(deps, gateway, response.to);
  return response;
}

/** Each is a visit to the gateway, which counts them too, against the tenant's account. @throws HostError LIMIT */
async function countBegun(deps: GatewayDeps, clientId: string): Promise<void> {
  const tries = countTries(deps.db, { of: 'payments of', tries: BILLING_LIMITS.paymentsBegun });
  const { waitMs } = await tries.take(clientId, Date.now());
  if (waitMs === 0) return;
  const minutes = Math.ceil(waitMs / 60_000);
  throw new HostError('LIMIT', `You began to pay very often; please wait ${minutes} minutes.`);
}

/** A client learns that it failed, not how: that is for the admin and stands in the log. */
async function entered<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof InvocationFailed)) throw cause;
    const text = 'Paying this way did not work. Please try again later, choose another way, or contact us.';
    throw new HostError(cause.code, text, { cause });
  }
}

/** @throws HostError NOT_GRANTED naming what to add */
async function checkRedirect(
  deps: GatewayDeps,
  gateway: { id: string; installation_id: string },
  to: string,
): Promise<void> {
  const [installation, instance] = await Promise.all([
    deps.installations.get(gateway.installation_id),
    deps.installations.instance(gateway.id),
  ]);
  const grant = mayLeaveBy(installation, settingsOf(installation, instance), to, ['redirect']);
  if (grant !== undefined) {
    deps.invoker.used(installation.id, grant);
    return;
  }
  const host = URL.parse(to)?.host;
  throw refusal(
    'redirect',
    host === undefined ? 'this address' : `host ${hostInWords(host)}`,
    'redirect.hosts',
  );
}

/** The client is back. What the address says proves nothing: the module asks its gateway and records what it finds there. */
async function returned(deps: GatewayDeps, input: Parameters<Gateways['returned']>[0]): Promise<void> {
  const invoice = await readInvoiceView(deps.db, input.tenantId, input.invoiceId);
  if (invoice === undefined || invoice.client.uuid !== input.account.id)
    throw new HostError('NOT_FOUND', 'There is no such invoice.');
  if (invoice.due_amount === 0) return;
  const gateway = await enabled(deps.db, input.tenantId)
    .where('instance.id', '=', input.instanceId)
    .executeTakeFirst();
  if (gateway === undefined) return;
  const { version } = await deps.installations.get(gateway.installation_id);
  if (!version.methods.has(RETURN_METHOD)) return;
  try {
    await deps.invoker.invoke({
      installationId: gateway.installation_id,
      instanceId: gateway.id,
      purpose: 'delivery',
      account: input.account,
      calls: [onModule(RETURN_METHOD, { invoice, query: input.query })],
    });
  } catch (error) {
    // The webhook tells it as well; what went wrong here stands in the module's log.
    if (!(error instanceof HostError)) throw error;
  }
}
