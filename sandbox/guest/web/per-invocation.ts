/** State that belongs to an invocation, for what is shared by all of them: kept by the invocation's context, and gone with it. */
import type { Env } from '../env.ts';

export function perInvocation<T>(env: Pick<Env, 'context'>, make: () => T): () => T {
  const states = new WeakMap<object, T>();
  return () => {
    const { context } = env;
    let state = states.get(context);
    if (state === undefined) states.set(context, (state = make()));
    return state;
  };
}
