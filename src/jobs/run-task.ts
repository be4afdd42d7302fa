/** What the queue's one task does: the module's method, in the sandbox, on an instance that its own getters have prepared. */
import type { Kysely } from 'kysely';
import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { ModuleCall } from '../../sandbox/contract/invocation.ts';
import { hostJobsOf } from '../../sandbox/contract/kinds.ts';
import { valueOf } from '../catalog/answers.ts';
import type { Installations } from '../catalog/installations.ts';
import { InvocationFailed, type Invoker } from '../catalog/invoke.ts';
import { onModule } from '../catalog/products.ts';
import { isHandlerTask, runHandler } from '../events/run-handler.ts';
import type { Tables } from '../database/tables.ts';
import type { RunTask } from './bounded.ts';
import type { TaskOutcome } from './outcome.ts';
import { storable } from '../database/storable.ts';
import type { Task } from './task.ts';

export interface RunTaskDeps {
  readonly db: Kysely<Tables>;
  readonly installations: Installations;
  readonly invoker: Invoker;
}

const Json = v.record(v.string(), v.unknown());

export function createRunTask(deps: RunTaskDeps): RunTask {
  return async (task, run) => {
    try {
      return await runTask(deps, task, run);
    } catch (error) {
      if (error instanceof InvocationFailed)
        return {
          kind: 'failed',
          error: error.toWire(),
          cpuUs: error.usage.cpuUs,
          wallMs: error.usage.wallMs,
        };
      if (error instanceof HostError) return { kind: 'failed', error: error.toWire(), cpuUs: 0, wallMs: 0 };
      throw error;
    }
  };
}

async function runTask(
  deps: RunTaskDeps,
  task: Task,
  { attempt, signal, begin }: Parameters<RunTask>[1],
): Promise<TaskOutcome> {
  if (isHandlerTask(task)) {
    await begin();
    return runHandler(deps, task, attempt, signal);
  }
  const { version } = await deps.installations.get(task.installationId);
  if (!version.methods.has(task.method)) {
    throw new HostError(
      'NO_METHOD',
      `${version.type}/${version.name} ${version.version} has no method ${task.method}().`,
    );
  }
  const prepared = await prepare(deps, task, version.methods);
  const { results, usage } = await deps.invoker.invoke({
    installationId: task.installationId,
    purpose: 'job',
    serviceId: task.serviceId,
    instanceId: task.instanceId,
    task: { id: task.id, attempt },
    calls: [...prepared.calls, onModule(task.method, ...argumentsOf(task, version.type))],
    wallMs: task.timeoutS * 1_000,
    signal,
    beforeCalls: begin,
  });
  await prepared.keep(valueOf(results[prepared.calls.length - 1]));
  return {
    kind: 'returned',
    value: valueOf(results.at(-1)) ?? null,
    cpuUs: usage.cpuUs,
    wallMs: usage.wallMs,
  };
}

/** A module's own jobs get their params as they are; those of the host what their kind says. */
function argumentsOf(task: Task, type: string): readonly unknown[] {
  const jobs = hostJobsOf(type);
  return Object.hasOwn(jobs, task.method) ? (jobs[task.method]?.(task.params) ?? []) : [task.params];
}

interface Prepared {
  readonly calls: readonly ModuleCall[];
  /** Stores what getServiceData returned (a generated password, for example), so that the next call gets the same. */
  keep(serviceData: unknown): Promise<void>;
}

async function prepare(deps: RunTaskDeps, task: Task, methods: ReadonlySet<string>): Promise<Prepared> {
  if (task.serviceId === null || !methods.has('getServiceData'))
    return { calls: [], keep: async () => undefined };
  const row = await deps.db
    .selectFrom('services as service')
    .innerJoin('products as product', 'product.id', 'service.product_id')
    .select(['service.data', 'service.provision_data', 'product.data as product_data'])
    .where('service.id', '=', task.serviceId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'The service of this task is gone.');
  const data = v.parse(Json, row.data);
  const provision = v.parse(Json, row.provision_data);
  return {
    calls: [
      onModule('getProductData', row.product_data),
      onModule('getServiceData', { ...data, ...provision }),
    ],
    async keep(returned) {
      const complete = v.safeParse(Json, returned);
      if (!complete.success) return;
      // Provision data overlays the order's: under a name that both have, the order keeps its own, and what is provision's alone is not
      // copied into it.
      const own = Object.entries(data).filter(([key]) => Object.hasOwn(provision, key));
      const made = Object.entries(complete.output).filter(([key]) => !Object.hasOwn(provision, key));
      const next = Object.fromEntries([...made, ...own]);
      if (isDeepStrictEqual(next, data)) return;
      await deps.db
        .updateTable('services')
        .set({ data: v.parse(Json, storable(next)) })
        .where('id', '=', task.serviceId)
        .execute();
    },
  };
}
