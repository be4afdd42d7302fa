/** Entering a module for one thing, with what came of it: its answer, or its refusal in words that may be shown to whoever asked. */
import { HostError, type WireError } from '../../sandbox/contract/envelope.ts';
import type { InvocationOutput, ModuleCall } from '../../sandbox/contract/invocation.ts';
import { judgeAction, valueOf } from '../catalog/answers.ts';
import { InvocationFailed, type InvokeOptions } from '../catalog/invoke.ts';
import type { CareDeps } from './service.ts';

export type Asked =
  | { readonly ok: true; readonly answer: unknown; readonly durationMs: number }
  | { readonly ok: false; readonly message: string; readonly durationMs: number };

type Judge = (results: InvocationOutput['results']) => WireError | undefined;

/** A client learns that it failed, not how: that is for the admin and stands in the log. */
const TO_CLIENTS = 'This did not work. Please try again later, or contact us.';

/**
 * @param judge what of the answer is a refusal; `{status: 'error', message}` if not given. What a module refuses with is meant to be read;
 * what it throws is not
 * @throws HostError when the module was not entered at all
 */
export async function ask(
  deps: CareDeps,
  options: Omit<InvokeOptions, 'purpose' | 'judge' | 'calls'> & {
    readonly calls: readonly ModuleCall[];
    readonly judge?: Judge;
  },
): Promise<Asked> {
  let refusal: string | undefined;
  const judge: Judge = (results) => {
    const error = (options.judge ?? judgeAction)(results);
    // Other codes are the host's own words about an answer that is none.
    refusal = error?.code === 'MODULE_ERROR' ? error.message : undefined;
    return error;
  };
  const startedMs = performance.now();
  const durationMs = (): number => performance.now() - startedMs;
  try {
    const { results } = await deps.invoker.invoke({ ...options, purpose: 'request', judge });
    return { ok: true, answer: valueOf(results.at(-1)), durationMs: durationMs() };
  } catch (error) {
    if (!(error instanceof InvocationFailed)) throw error;
    const thrown = options.account?.kind === 'client' ? TO_CLIENTS : error.message;
    return { ok: false, message: refusal ?? thrown, durationMs: durationMs() };
  }
}

/** What a module says beside its success; '' if nothing. */
export function messageOf(answer: unknown): string {
  if (typeof answer !== 'object' || answer === null || !('message' in answer)) return '';
  return typeof answer.message === 'string' ? answer.message : '';
}

/** @throws CONFLICT */
export function requireMethod(methods: { has(name: string): boolean }, method: string): void {
  if (!methods.has(method)) throw new HostError('CONFLICT', `This module has no ${method}().`);
}
