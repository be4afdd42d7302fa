/**
 * steps: named parts of a job whose results are kept, so that a retry resumes after the last finished one. While a step runs, the
 * host journals each HTTP answer before the module sees it; a request that was sent and whose answer was never recorded is in doubt.
 */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { op } from '../op.ts';

const StepName = v.pipe(v.string(), v.minLength(1), v.maxLength(100));

export const steps = capability({
  title: 'Steps',
  doc: 'Resume a job after the last finished step.',
  icon: 'stairs',
  inherent: true,
  grant: {},
  ops: {
    begin: op(
      'Starts or resumes a step of the running job. "done" carries the stored value; "in_doubt" asks for a check.',
      v.object({ name: StepName }),
      v.variant('status', [
        v.object({ status: v.literal('run'), idempotencyKey: v.string() }),
        v.object({ status: v.literal('done'), value: v.unknown() }),
        v.object({ status: v.literal('in_doubt'), idempotencyKey: v.string() }),
      ]),
    ),
    finish: op(
      'Stores the value of a step.',
      v.object({ name: StepName, value: v.optional(v.unknown()) }),
      v.object({}),
    ),
    fail: op(
      'The step’s function failed. Recorded answers that were errors (400 and above) are forgotten, with all after them, so that the next run asks again; good answers stay.',
      v.object({ name: StepName }),
      v.object({}),
    ),
    /** The step's own check found that the request had no effect: it may be sent again. */
    restart: op(
      'Clears what is in doubt, so that the step runs again.',
      v.object({ name: StepName }),
      v.object({ idempotencyKey: v.string() }),
    ),
  },
});
