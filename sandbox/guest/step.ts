/**
 * step(name, fn, {check}): a named part of a job. Its value is stored, so a retry resumes after the last finished step; while it runs
 * the host journals each HTTP answer before we see it. If an earlier run died between sending a request and recording the
 * answer, `check` decides whether it took effect: a value ends the step with it, undefined runs the step again.
 */
import type { Env } from './env.ts';
import { CapabilityError } from './errors.ts';

export interface StepOptions<T> {
  /** Asked when the step is in doubt: what the step would have returned if its request took effect, else undefined. */
  readonly check?: () => Promise<T | undefined> | T | undefined;
}

export interface StepInfo {
  /** The same for each run of this step: send it where the other side supports idempotency. */
  readonly idempotencyKey: string;
}

export type Step = <T>(
  name: string,
  fn: (info: StepInfo) => Promise<T> | T,
  options?: StepOptions<T>,
) => Promise<T>;

export function createStep(env: Env): Step {
  return async <T>(
    name: string,
    fn: (info: StepInfo) => Promise<T> | T,
    options: StepOptions<T> = {},
  ): Promise<T> => {
    if (env.step !== undefined) {
      throw new CapabilityError({
        code: 'CONFLICT',
        message: `step "${name}" was started inside step "${env.step.name}"; steps run one after another.`,
      });
    }
    const begun = await env.call('steps', 'begin', { name });
    if (begun.status === 'done') return begun.value as T;
    let key = begun.idempotencyKey;
    if (begun.status === 'in_doubt') {
      if (options.check === undefined) {
        throw new CapabilityError({
          code: 'STEP_IN_DOUBT',
          message: `step "${name}": a request was sent and its answer was never recorded; a person must decide (or give the step a check).`,
        });
      }
      const found = await options.check();
      if (found !== undefined) {
        await env.call('steps', 'finish', { name, value: found });
        return found;
      }
      key = (await env.call('steps', 'restart', { name })).idempotencyKey;
    }
    env.step = { name, next: 0 };
    try {
      const value = await fn({ idempotencyKey: key });
      await env.call('steps', 'finish', { name, value: value ?? null });
      return value;
    } catch (error) {
      // The step's own error is what the job must see, whatever becomes of this note.
      await env.call('steps', 'fail', { name }).catch(() => undefined);
      throw error;
    } finally {
      env.step = undefined;
    }
  };
}
