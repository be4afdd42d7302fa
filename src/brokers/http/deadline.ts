/** The time of one request with all its redirects: the module's wish, our bound and the invocation's rest, whichever is least. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { Scope } from '../broker.ts';
import { failed } from './failure.ts';

export interface Deadline extends Disposable {
  /** Aborted with the HostError to throw. */
  readonly signal: AbortSignal;
  /** Waits for a promise that cannot be cancelled (a DNS answer), but no longer than the deadline. */
  bound<T>(work: Promise<T>): Promise<T>;
}

export function startDeadline(scope: Scope, timeoutMs: number, now: () => number): Deadline {
  const controller = new AbortController();
  const restMs = Math.max(0, Math.min(timeoutMs, scope.deadlineAt - now()));
  const timer = setTimeout(() => controller.abort(failed('timeout')), restMs);
  const onEnd = (): void =>
    controller.abort(new HostError('ENDED', 'http: the invocation ended before the answer.'));
  if (scope.signal.aborted) onEnd();
  else scope.signal.addEventListener('abort', onEnd, { once: true });
  const { signal } = controller;

  return {
    signal,
    async bound(work) {
      signal.throwIfAborted();
      let stop = (): void => undefined;
      const ended = new Promise<never>((_resolve, reject) => {
        stop = () => reject(signal.reason);
        signal.addEventListener('abort', stop, { once: true });
      });
      try {
        return await Promise.race([work, ended]);
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      scope.signal.removeEventListener('abort', onEnd);
    },
  };
}
