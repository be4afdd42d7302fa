/** Running one handler of a module's hooks.ts, as the queue does for a task that stands for it. */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { valueOf } from '../catalog/answers.ts';
import type { Installations } from '../catalog/installations.ts';
import type { Invoker } from '../catalog/invoke.ts';
import type { Tables } from '../database/tables.ts';
import type { TaskOutcome } from '../jobs/outcome.ts';
import type { Task } from '../jobs/task.ts';
import { hears } from './listeners.ts';
import { HANDLER_PREFIX } from './turns.ts';

export interface HandlerDeps {
  readonly db: Kysely<Tables>;
  readonly installations: Installations;
  readonly invoker: Invoker;
}

const Params = v.object({ event: v.string(), handler: v.number() });

export function isHandlerTask(task: Task): boolean {
  return task.method.startsWith(HANDLER_PREFIX);
}

/** @throws HostError NO_METHOD for a handler that is gone or may hear the event no longer; InvocationFailed */
export async function runHandler(
  deps: HandlerDeps,
  task: Task,
  attempt: number,
  signal: AbortSignal,
): Promise<TaskOutcome> {
  const { event: eventId, handler } = v.parse(Params, task.params);
  const event = await deps.db
    .selectFrom('events')
    .select(['id', 'name', 'payload', 'source', 'at'])
    .where('id', '=', eventId)
    .where('tenant_id', '=', task.tenantId)
    .executeTakeFirst();
  if (event === undefined) throw new HostError('NO_METHOD', 'The event is gone: it is kept for 30 days.');
  const installation = await deps.installations.get(task.installationId);
  if (!hears(installation, event.name, handler))
    throw new HostError(
      'NO_METHOD',
      `This version has no such handler of ${event.name}, or the module may no longer hear it.`,
    );
  const told = {
    uuid: event.id,
    name: event.name,
    payload: event.payload,
    at: event.at.toISOString(),
    source: event.source,
  };
  const { results, usage } = await deps.invoker.invoke({
    installationId: task.installationId,
    purpose: 'job',
    task: { id: task.id, attempt },
    calls: [{ target: { on: 'hook', number: handler }, method: event.name, args: [told] }],
    wallMs: task.timeoutS * 1_000,
    signal,
  });
  return {
    kind: 'returned',
    value: valueOf(results.at(-1)) ?? null,
    cpuUs: usage.cpuUs,
    wallMs: usage.wallMs,
  };
}
