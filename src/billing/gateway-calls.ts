/**
 * What a gateway's module is told after it recorded something: onPaymentSuccess for a payment that was booked, onPaymentFailed for an
 * attempt that failed. Each is a task that is queued in the transaction that records, so that neither is lost nor comes twice; how it ends
 * changes nothing about what was booked.
 */
import { sql } from 'kysely';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { enqueueTask } from '../jobs/queue.ts';
import type { Trx } from '../jobs/task.ts';

export interface GatewayCall {
  readonly instanceId: string;
  readonly tenantId: string;
  readonly method: 'onPaymentSuccess' | 'onPaymentFailed';
  readonly invoiceId: string;
  /** The key under which `about` stands in what the method gets, beside what the gateway told. */
  readonly key: 'payment' | 'failure';
  readonly about: Readonly<Record<string, unknown>>;
  readonly told?: unknown;
  /** The task that recorded it, if one did. */
  readonly taskId?: string | null;
}

const TIMEOUT_S = 60;

/** Queues the call if the module has such a method of its own: the base class's does nothing. */
export async function callGateway(trx: Trx, call: GatewayCall): Promise<void> {
  const home = await trx
    .selectFrom('instances as instance')
    .innerJoin('installations as installation', 'installation.id', 'instance.installation_id')
    .innerJoin('module_versions as version', 'version.id', 'installation.version_id')
    .select('installation.id')
    .where('instance.id', '=', call.instanceId)
    .where('instance.tenant_id', '=', call.tenantId)
    .where(sql<boolean>`version.declaration -> 'own_methods' ? ${call.method}`)
    .executeTakeFirst();
  if (home === undefined) return;
  await enqueueTask(trx, {
    installationId: home.id,
    instanceId: call.instanceId,
    parentId: call.taskId ?? null,
    method: call.method,
    params: { ...asData(call.told), [call.key]: { ...call.about, invoice_uuid: call.invoiceId } },
    tags: [call.method, `invoice:${call.invoiceId}`],
    tries: 1,
    timeoutS: TIMEOUT_S,
  });
}

/** What the gateway told, as far as it is named data of a task's size; all of it stands on the payment's page. */
function asData(told: unknown): Readonly<Record<string, unknown>> {
  if (typeof told !== 'object' || told === null || Array.isArray(told)) return {};
  const fits = Buffer.byteLength(JSON.stringify(told)) <= LIMITS.taskParamsBytes;
  return fits ? { ...told } : {};
}
