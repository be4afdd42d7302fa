/**
 * What the guest runtime hands to each part of itself for one invocation: the way to call the host, and who is being served.
 * Everything a module receives is built from an Env, and an Env belongs to exactly one invocation.
 */
import type { CapabilityName, OpInput, OpName, OpOutput } from '../contract/capabilities.ts';
import type { InvocationContext } from '../contract/invocation.ts';

export interface Env {
  readonly context: InvocationContext;
  /** Calls the host; rejects with a CapabilityError (errors.ts) that carries the host's code and message. */
  call<C extends CapabilityName, O extends OpName<C>>(
    capability: C,
    op: O,
    input: OpInput<C, O>,
  ): Promise<OpOutput<C, O>>;
  /** Tells the host something that has no answer. */
  notify<C extends CapabilityName, O extends OpName<C>>(capability: C, op: O, input: OpInput<C, O>): void;
  /** Bytes of memory that the isolate uses now, what others of the same installation keep in it included. */
  heapBytes(): Promise<number>;
  /** setTimeout of this invocation: milliseconds, ends with it. */
  setTimer(callback: () => void, ms: number): number;
  clearTimer(id: number): void;
  /** The step that runs now, for the HTTP journal; http takes the next number from it with each request. */
  step: { readonly name: string; next: number } | undefined;
}
