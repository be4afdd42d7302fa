/** As much of Event and EventTarget as AbortSignal and programs that dispatch their own events need. */
import { asText } from './text.ts';

export type Listener = ((event: Event) => void) | { handleEvent(event: Event): void };

export class Event {
  readonly type: string;
  readonly cancelable: boolean;
  #isPrevented = false;
  #isStopped = false;
  #target: EventTarget | null = null;

  constructor(type: string, options: { cancelable?: boolean } = {}) {
    this.type = asText(type);
    this.cancelable = options.cancelable === true;
  }

  get target(): EventTarget | null {
    return this.#target;
  }

  get defaultPrevented(): boolean {
    return this.#isPrevented;
  }

  preventDefault(): void {
    if (this.cancelable) this.#isPrevented = true;
  }

  stopImmediatePropagation(): void {
    this.#isStopped = true;
  }

  /** Runs the listeners; for EventTarget. */
  static deliver(event: Event, target: EventTarget, listeners: readonly Listener[]): boolean {
    event.#target = target;
    for (const listener of listeners) {
      if (event.#isStopped) break;
      if (typeof listener === 'function') listener.call(target, event);
      else listener.handleEvent(event);
    }
    return !event.#isPrevented;
  }
}

interface Registered {
  readonly type: string;
  readonly listener: Listener;
  readonly once: boolean;
}

export class EventTarget {
  #registered: readonly Registered[] = [];

  addEventListener(
    type: string,
    listener: Listener | null,
    options: boolean | { once?: boolean } = {},
  ): void {
    if (
      listener === null ||
      this.#registered.some((entry) => entry.type === type && entry.listener === listener)
    )
      return;
    const once = typeof options === 'object' && options.once === true;
    this.#registered = [...this.#registered, { type, listener, once }];
  }

  removeEventListener(type: string, listener: Listener | null): void {
    this.#registered = this.#registered.filter((entry) => entry.type !== type || entry.listener !== listener);
  }

  dispatchEvent(event: Event): boolean {
    const called = this.#registered.filter((entry) => entry.type === event.type);
    this.#registered = this.#registered.filter((entry) => !entry.once || entry.type !== event.type);
    return Event.deliver(
      event,
      this,
      called.map((entry) => entry.listener),
    );
  }
}
