/**
 * Which of onPaymentSuccess and onPaymentFailed runs now because the module itself called it. What is recorded meanwhile says so to the
 * host, which calls the method after each recording otherwise: a module that was ported from the guide calls it from its webhook, and must
 * not do its work twice.
 */
import type { Env } from './env.ts';

export const PAYMENT_CALLS = ['onPaymentSuccess', 'onPaymentFailed'] as const;
export type PaymentCall = (typeof PAYMENT_CALLS)[number];

const running = new WeakMap<Env, Map<PaymentCall, number>>();

function count(env: Env, method: PaymentCall, by: 1 | -1): void {
  const counts = running.get(env) ?? new Map<PaymentCall, number>();
  counts.set(method, (counts.get(method) ?? 0) + by);
  running.set(env, counts);
}

export function isRunning(env: Env, method: PaymentCall): boolean {
  return (running.get(env)?.get(method) ?? 0) > 0;
}

/** Calls it, and remembers that it runs until what it returned is settled. */
export function runPaymentCall(env: Env, method: PaymentCall, call: () => unknown): unknown {
  const end = (): void => count(env, method, -1);
  let result: unknown;
  count(env, method, 1);
  try {
    result = call();
  } catch (error) {
    end();
    throw error;
  }
  if (result instanceof Promise) return result.finally(end);
  end();
  return result;
}
