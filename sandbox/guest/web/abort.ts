/**
 * AbortController and AbortSignal. The classes a module sees are made with the Env whose timers AbortSignal.timeout takes; they extend the
 * one here, which holds everything else.
 */
import type { Env } from '../env.ts';
import { DOMException } from './dom-exception.ts';
import { Event, EventTarget } from './event.ts';

export type AbortHandler = ((event: Event) => void) | null;

export class BaseAbortSignal extends EventTarget {
  onabort: AbortHandler = null;
  #aborted = false;
  #reason: unknown = undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  /** For controllers: aborts once. */
  static trigger(signal: BaseAbortSignal, reason: unknown): void {
    if (signal.#aborted) return;
    signal.#aborted = true;
    signal.#reason = reason === undefined ? new DOMException('This was aborted.', 'AbortError') : reason;
    const event = new Event('abort');
    signal.onabort?.(event);
    signal.dispatchEvent(event);
  }
}

/** Follows the first of several signals. */
function follow(signal: BaseAbortSignal, sources: Iterable<BaseAbortSignal>): void {
  for (const source of sources) {
    if (source.aborted) BaseAbortSignal.trigger(signal, source.reason);
    else
      source.addEventListener('abort', () => BaseAbortSignal.trigger(signal, source.reason), { once: true });
  }
}

interface SignalClass {
  new (): BaseAbortSignal;
  abort(reason?: unknown): BaseAbortSignal;
  timeout(ms: number): BaseAbortSignal;
  any(signals: Iterable<BaseAbortSignal>): BaseAbortSignal;
}

interface ControllerClass {
  new (): { readonly signal: BaseAbortSignal; abort(reason?: unknown): void };
}

/** The two classes that a module sees. */
export function createAbort(env: Pick<Env, 'setTimer'>): {
  readonly AbortSignal: SignalClass;
  readonly AbortController: ControllerClass;
} {
  class AbortSignal extends BaseAbortSignal {
    static abort(reason?: unknown): AbortSignal {
      const signal = new AbortSignal();
      BaseAbortSignal.trigger(signal, reason);
      return signal;
    }

    static timeout(ms: number): AbortSignal {
      const signal = new AbortSignal();
      env.setTimer(
        () => BaseAbortSignal.trigger(signal, new DOMException('The time ran out.', 'TimeoutError')),
        ms,
      );
      return signal;
    }

    static any(signals: Iterable<BaseAbortSignal>): AbortSignal {
      const signal = new AbortSignal();
      follow(signal, signals);
      return signal;
    }
  }

  class AbortController {
    readonly signal: AbortSignal = new AbortSignal();

    abort(reason?: unknown): void {
      BaseAbortSignal.trigger(this.signal, reason);
    }
  }

  return { AbortSignal, AbortController };
}
