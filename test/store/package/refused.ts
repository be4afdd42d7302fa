/** What a refusal looks like from outside, for comparing. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { PACKAGE_REASONS } from '../../../src/store/package/refusal.ts';

function field(data: unknown, key: string): unknown {
  return typeof data === 'object' && data !== null ? Reflect.get(data, key) : undefined;
}

/** The reason and path of the refusal that a promise ends with, and its text; anything but a proper refusal is thrown on. */
export async function refused(
  promise: Promise<unknown>,
): Promise<{ reason: string; path: unknown; message: string; data: unknown }> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error === undefined) throw new Error('it was not refused');
  if (!(error instanceof HostError)) throw error;
  const reason = field(error.data, 'reason');
  if (typeof reason !== 'string' || !Object.hasOwn(PACKAGE_REASONS, reason)) throw error;
  return { reason, path: field(error.data, 'path'), message: error.message, data: error.data };
}
