/**
 * `on(event, handler, {priority})`, which a module's hooks.ts calls at its top level. At install only the names and priorities are read;
 * later the host names a handler by its number, and the number's event must still be the one it was declared for.
 */
import type { HostEventName, HostEventPayload } from '../contract/host-events.ts';
import type { Base } from './base.ts';

/** What happened, as a handler gets it. */
export interface ModuleEvent<N extends string = string> {
  /** The same if the event is delivered again: at least once is promised, not exactly once. */
  readonly uuid: string;
  readonly name: N;
  readonly payload: N extends HostEventName ? HostEventPayload<N> : Readonly<Record<string, unknown>>;
  /** ISO instant. */
  readonly at: string;
  /** 'host', or the module that dispatched it: publisher/Type/Name. */
  readonly source: string;
}

export interface Hook {
  readonly event: string;
  readonly priority: number;
  readonly handler: (event: ModuleEvent, module: Base) => unknown;
}

export interface HookOptions {
  /** Higher runs first; 0 if absent. */
  readonly priority?: number;
}

/** As a method, so that a handler may name its own module's class for `module`. */
interface OwnHandler<N extends string> {
  handle(event: ModuleEvent<N>, module: object): unknown;
}

export interface On {
  <N extends string>(
    event: N,
    handler: (event: ModuleEvent<N>, module: Base) => unknown,
    options?: HookOptions,
  ): void;
  <N extends string>(event: N, handler: OwnHandler<N>['handle'], options?: HookOptions): void;
}

/** What `on` was called with. @throws TypeError for the module's author */
export function toHook(event: string, handler: unknown, { priority = 0 }: HookOptions = {}): Hook {
  if (typeof event !== 'string' || typeof handler !== 'function')
    throw new TypeError('on(event, handler): a name and a function are expected');
  return { event, priority, handler: handler as Hook['handler'] };
}
