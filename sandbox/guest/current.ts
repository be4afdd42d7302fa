/**
 * Whose code runs now. Each entry into the isolate is of exactly one invocation, and the promises it settles have run before the next
 * entry begins; so one variable says whom a call of something shared is made for. It lets the namespace, the globals and the base
 * classes be made once and frozen, where making them anew cost more than the module's own evaluation.
 */
import type { Env } from './env.ts';
import type { Runtime } from './base.ts';

let current: Runtime | undefined;

/** Called at the beginning of each entry, before anything of the module can run. */
export function setCurrentRuntime(runtime: Runtime): void {
  current = runtime;
}

export function currentRuntime(): Runtime {
  if (current === undefined) throw new Error('no invocation runs');
  return current;
}

/** The Env of whichever invocation runs: for what is shared by all of them. */
export const currentEnv: Env = {
  get context() {
    return currentRuntime().env.context;
  },
  get step() {
    return currentRuntime().env.step;
  },
  set step(step) {
    currentRuntime().env.step = step;
  },
  call: (capability, op, input) => currentRuntime().env.call(capability, op, input),
  notify: (capability, op, input) => currentRuntime().env.notify(capability, op, input),
  heapBytes: () => currentRuntime().env.heapBytes(),
  setTimer: (callback, ms) => currentRuntime().env.setTimer(callback, ms),
  clearTimer: (id) => currentRuntime().env.clearTimer(id),
};
