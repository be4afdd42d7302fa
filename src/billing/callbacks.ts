/**
 * What follows when a service's task has ended for good (contract A11). The job itself owns provision_status; only if it left it at
 * 'processing' and queued no follow-up does the host set what the action is for, or 'failed'. A module's own {action}Callback
 * is called as well; it may be called again after a crash, so it must bear repeating.
 */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import {
  SERVICE_ACTIONS,
  SERVICE_ACTION_NAMES,
  type ServiceAction,
} from '../../sandbox/contract/kinds/product.ts';
import type { Installations } from '../catalog/installations.ts';
import type { Invoker } from '../catalog/invoke.ts';
import { onModule } from '../catalog/products.ts';
import type { Tables } from '../database/tables.ts';
import type { OnFinished } from '../jobs/execute.ts';
import type { Task, Trx } from '../jobs/task.ts';
import { moveBack } from './change-package.ts';
import { changePrice } from './change-price.ts';
import { tellOfFailedAction, tellOfService } from './service-events.ts';
import { lockService, setProvisionStatus } from './service-status.ts';

export interface CallbackDeps {
  readonly db: Kysely<Tables>;
  readonly installations: Installations;
  readonly invoker: Invoker;
}

export function createServiceCallbacks(deps: CallbackDeps): OnFinished {
  return async (task, finished) => {
    const { serviceId } = task;
    if (serviceId === null) return undefined;
    const action = SERVICE_ACTION_NAMES.find((name) => `${name}Job` === task.method);
    if (action !== undefined) await callModule(deps, task, action);
    return async (trx) => {
      await conclude(trx, { task, serviceId, action, succeeded: finished.status === 'completed' });
      if (finished.status !== 'completed' && action !== undefined)
        await tellOfFailedAction(trx, action, serviceId, finished.error?.message ?? '');
      else if (action === 'change_package') await tellOfService(trx, 'ServiceChangedPackage', serviceId);
      else if (action === 'renew') await tellOfService(trx, 'ServiceRenewed', serviceId);
    };
  };
}

async function callModule(deps: CallbackDeps, task: Task, action: ServiceAction): Promise<void> {
  const { version } = await deps.installations.get(task.installationId);
  const method = `${action}Callback`;
  if (!version.declaration.own_methods.includes(method)) return;
  try {
    await deps.invoker.invoke({
      installationId: task.installationId,
      serviceId: task.serviceId,
      purpose: 'job',
      task: { id: task.id, attempt: task.attempts },
      calls: [onModule(method, task.result, task.id)],
    });
  } catch (error) {
    // Its failure stands in the module's log; the service's status must not hang on it.
    if (!(error instanceof HostError)) throw error;
  }
}

interface Ended {
  readonly task: Task;
  readonly serviceId: string;
  readonly action: ServiceAction | undefined;
  readonly succeeded: boolean;
}

async function conclude(trx: Trx, { task, serviceId, action, succeeded }: Ended): Promise<void> {
  const service = await lockService(trx, serviceId);
  if (action === 'change_package') {
    if (succeeded) await changePrice(trx, service, new Date());
    else await moveBack(trx, serviceId);
  }
  if (service.provision_status !== 'processing' || (await hasFollowUp(trx, serviceId, task.id))) return;
  // What could not be renewed runs on: it is paid.
  if (!succeeded)
    await setProvisionStatus(trx, serviceId, action === 'renew' ? 'completed' : 'failed', 'host');
  else if (action !== undefined)
    await setProvisionStatus(trx, serviceId, SERVICE_ACTIONS[action].provision ?? 'completed', task.method);
}

async function hasFollowUp(trx: Trx, serviceId: string, taskId: string): Promise<boolean> {
  const row = await trx
    .selectFrom('tasks')
    .select('id')
    .where('service_id', '=', serviceId)
    .where('id', '<>', taskId)
    .where('status', 'in', ['queued', 'pending', 'processing'])
    .executeTakeFirst();
  return row !== undefined;
}
