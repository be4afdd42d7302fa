/** testConnection(): whether the other side answers, with what is saved: of a product, of an instance, or of the module's settings. */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { ModuleCall } from '../../sandbox/contract/invocation.ts';
import { requirePermission } from '../auth/permissions.ts';
import { onModule } from '../catalog/products.ts';
import { beginAction } from './actions.ts';
import { ask, messageOf, requireMethod } from './ask.ts';
import type { Care, Done } from './care.ts';
import { type CareDeps, requireStaff } from './service.ts';

type Input = Parameters<Care['testConnection']>[0];

/** @throws NOT_FOUND for what is not this installation's */
async function prepare(deps: CareDeps, input: Input): Promise<readonly ModuleCall[]> {
  if (input.instanceId !== undefined) {
    const instance = await deps.installations.instance(input.instanceId);
    if (instance.installationId !== input.installationId)
      throw new HostError('NOT_FOUND', 'There is no such instance of this module.');
  }
  if (input.productId === undefined) return [];
  const row = await deps.db
    .selectFrom('products')
    .select('data')
    .where('id', '=', input.productId)
    .where('tenant_id', '=', input.tenantId)
    .where('installation_id', '=', input.installationId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such product of this module.');
  return [onModule('getProductData', row.data)];
}

export async function testConnection(deps: CareDeps, input: Input): Promise<Done> {
  const { account, productId, instanceId } = input;
  requireStaff(account);
  requirePermission(account.permissions, productId === undefined ? 'modules.manage' : 'products.manage');
  const installation = await deps.installations.get(input.installationId);
  if (installation.tenant.id !== input.tenantId)
    throw new HostError('NOT_FOUND', 'There is no such module here.');
  requireMethod(installation.version.methods, 'testConnection');
  const calls = await prepare(deps, input);
  const of = { tenantId: input.tenantId, installationId: installation.id, serviceId: null, account };
  const action = await beginAction(deps.db, of);
  const asked = await ask(deps, {
    installationId: installation.id,
    ...(productId === undefined ? {} : { productId }),
    ...(instanceId === undefined ? {} : { instanceId }),
    account,
    calls: [...calls, onModule('testConnection')],
  });
  const message = asked.ok ? messageOf(asked.answer) : asked.message;
  const { ok, durationMs } = asked;
  return action.end({ action: 'test', ok, message, durationMs });
}
