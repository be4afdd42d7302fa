/** setTimeout and its family on the timers of the invocation that runs: they end with it, and their number is bounded by the runner. */
import { perInvocation } from './per-invocation.ts';
import type { Env } from '../env.ts';

export type TimerCallback = (...args: never[]) => void;

/** Shorter intervals would be a loop. */
const INTERVAL_MS = 10;

function milliseconds(value: unknown): number {
  const ms = Math.trunc(Number(value));
  return Number.isFinite(ms) && ms > 0 ? ms : 0;
}

function callable(callback: unknown): void {
  if (typeof callback !== 'function') throw new TypeError('A timer needs a function.');
}

export function createTimers(env: Pick<Env, 'setTimer' | 'clearTimer' | 'context'>) {
  /** Our number → the runner’s, which changes with each round of an interval. */
  const own = perInvocation(env, () => ({ running: new Map<number, number>(), last: 0 }));

  function setTimeout<A extends unknown[]>(callback: (...args: A) => void, ms = 0, ...args: A): number {
    callable(callback);
    const state = own();
    const { running } = state;
    const id = ++state.last;
    const fire = (): void => {
      running.delete(id);
      callback(...args);
    };
    running.set(id, env.setTimer(fire, milliseconds(ms)));
    return id;
  }

  function setInterval<A extends unknown[]>(callback: (...args: A) => void, ms = 0, ...args: A): number {
    callable(callback);
    const state = own();
    const { running } = state;
    const id = ++state.last;
    const arm = (): void =>
      void running.set(id, env.setTimer(round, Math.max(INTERVAL_MS, milliseconds(ms))));
    // Armed first, so that a callback which throws does not end the interval, and may clear it.
    const round = (): void => {
      arm();
      callback(...args);
    };
    arm();
    return id;
  }

  function clear(id?: number): void {
    const { running } = own();
    const timer = id === undefined ? undefined : running.get(id);
    if (id === undefined || timer === undefined) return;
    running.delete(id);
    env.clearTimer(timer);
  }

  function queueMicrotask(callback: () => void): void {
    callable(callback);
    void (async () => {
      await Promise.resolve();
      callback();
    })();
  }

  return { setTimeout, setInterval, clearTimeout: clear, clearInterval: clear, queueMicrotask };
}
