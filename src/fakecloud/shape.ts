/**
 * Readers for values from outside. The fake cloud may import nothing but node and hono, so that it stays a stranger to the
 * host it is used against; these few functions are its whole schema library. A reader takes an unknown value and the place
 * it was found at, and gives the typed value or throws a ShapeError that names the place.
 */

export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

export type Shape<T> = (value: unknown, at: string) => T;
export type Of<S> = S extends Shape<infer T> ? T : never;

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function text(options: { max?: number } = {}): Shape<string> {
  const max = options.max ?? Number.MAX_SAFE_INTEGER;
  return (value, at) => {
    if (typeof value !== 'string') throw new ShapeError(`${at}: expected a text`);
    if (value.length > max) throw new ShapeError(`${at}: longer than ${max} characters`);
    return value;
  };
}

export function integer(options: { min?: number; max?: number } = {}): Shape<number> {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = options;
  return (value, at) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value))
      throw new ShapeError(`${at}: expected an integer`);
    if (value < min || value > max) throw new ShapeError(`${at}: must be between ${min} and ${max}`);
    return value;
  };
}

export function flag(): Shape<boolean> {
  return (value, at) => {
    if (typeof value !== 'boolean') throw new ShapeError(`${at}: expected true or false`);
    return value;
  };
}

export function oneOf<const V extends string>(...allowed: readonly V[]): Shape<V> {
  return (value, at) => {
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw new ShapeError(`${at}: must be one of ${allowed.join(', ')}`);
    return found;
  };
}

export function list<T>(item: Shape<T>, options: { max?: number } = {}): Shape<T[]> {
  const max = options.max ?? Number.MAX_SAFE_INTEGER;
  return (value, at) => {
    if (!Array.isArray(value)) throw new ShapeError(`${at}: expected a list`);
    if (value.length > max) throw new ShapeError(`${at}: more than ${max} entries`);
    return value.map((entry: unknown, index) => item(entry, `${at}[${index}]`));
  };
}

export function record<T>(item: Shape<T>): Shape<Record<string, T>> {
  return (value, at) => {
    if (!isRecord(value)) throw new ShapeError(`${at}: expected an object`);
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [key, item(entry, `${at}.${key}`)]),
    );
  };
}

export function unknown(): Shape<unknown> {
  return (value) => value;
}

export function nullable<T>(inner: Shape<T>): Shape<T | null> {
  return (value, at) => (value === null ? null : inner(value, at));
}

/** A key that may be left out. */
export function withDefault<T, D>(inner: Shape<T>, fallback: D): Shape<T | D> {
  return (value, at) => (value === undefined ? fallback : inner(value, at));
}

/** An object with exactly these keys; an unknown one is refused by name, so that a typing error is not silently a default. */
export function object<F extends Readonly<Record<string, Shape<unknown>>>>(
  fields: F,
): Shape<{ [K in keyof F]: Of<F[K]> }> {
  return (value, at) => {
    if (!isRecord(value)) throw new ShapeError(`${at}: expected an object`);
    const stray = Object.keys(value).find((key) => !Object.hasOwn(fields, key));
    if (stray !== undefined) {
      throw new ShapeError(`${at}.${stray}: unknown; known are ${Object.keys(fields).join(', ')}`);
    }
    const entries = Object.entries(fields).map(([key, shape]) => [key, shape(value[key], `${at}.${key}`)]);
    return Object.fromEntries(entries) as { [K in keyof F]: Of<F[K]> };
  };
}
