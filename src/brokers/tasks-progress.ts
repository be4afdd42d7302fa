/**
 * A running job's progress, written to its row about twice a second at most however often the module says it. The last note is
 * always written, at the latest when the invocation ends.
 */
import type { Kysely } from 'kysely';

import type { OpArgument } from '../../sandbox/contract/capabilities.ts';
import type { Tables } from '../database/tables.ts';
import { JOB_LIMITS } from '../jobs/limits.ts';
import { storable } from '../database/storable.ts';
import type { Scope } from './broker.ts';

type Note = OpArgument<'tasks', 'progress'>;

export interface Progress {
  /** Takes a note; silently nothing outside a job, for the op has no answer. */
  note(scope: Scope, note: Note): void;
}

interface Pending {
  latest: Note | undefined;
  timer: NodeJS.Timeout | undefined;
  writing: Promise<void>;
}

export function createProgress(db: Kysely<Tables>): Progress {
  const byScope = new WeakMap<Scope, Pending>();

  const write = async (taskId: string, note: Note): Promise<void> => {
    await db
      .updateTable('tasks')
      .set({ progress_percent: Math.round(note.percent), progress_note: String(storable(note.note)) })
      .where('id', '=', taskId)
      .where('status', '=', 'processing')
      .execute();
  };
  /** Writes follow each other, so that an earlier note never overwrites a later one. A lost note is no error. */
  const flush = (taskId: string, pending: Pending): void => {
    const { latest } = pending;
    pending.latest = undefined;
    if (latest === undefined) return;
    pending.writing = pending.writing.then(async () => write(taskId, latest)).catch(() => {});
  };
  const start = (scope: Scope, taskId: string): Pending => {
    const pending: Pending = { latest: undefined, timer: undefined, writing: Promise.resolve() };
    byScope.set(scope, pending);
    scope.onEnd(async () => {
      clearTimeout(pending.timer);
      flush(taskId, pending);
      await pending.writing;
    });
    return pending;
  };
  const wait = (taskId: string, pending: Pending): void => {
    pending.timer = setTimeout(() => {
      pending.timer = undefined;
      if (pending.latest === undefined) return;
      flush(taskId, pending);
      wait(taskId, pending);
    }, JOB_LIMITS.progressMs);
    pending.timer.unref();
  };

  return {
    note: (scope, note) => {
      const { taskId } = scope;
      if (scope.purpose !== 'job' || taskId === null) return;
      const pending = byScope.get(scope) ?? start(scope, taskId);
      pending.latest = note;
      if (pending.timer !== undefined) return;
      flush(taskId, pending);
      wait(taskId, pending);
    },
  };
}
