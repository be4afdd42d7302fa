/** structuredClone for plain data: objects, arrays, Map, Set, Date, RegExp, errors, buffers and typed arrays, with their cycles. */
import { DOMException } from './dom-exception.ts';

const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

function refuse(value: unknown): never {
  throw new DOMException(
    `${typeof value === 'function' ? 'A function' : 'This value'} cannot be cloned.`,
    'DataCloneError',
  );
}

function isPlain(value: object): boolean {
  const tag = Object.prototype.toString.call(value);
  return tag === '[object Object]' || tag === '[object Arguments]';
}

function cloneError(error: Error): Error {
  const Known = Object.hasOwn(ERRORS, error.name) ? ERRORS[error.name as keyof typeof ERRORS] : Error;
  return new Known(error.message);
}

/** A view keeps its place within its buffer, and views of one buffer share its copy. */
function cloneView(view: ArrayBufferView, seen: Map<object, object>): ArrayBufferView {
  const buffer = clone(view.buffer, seen) as ArrayBuffer;
  if (view instanceof DataView) return new DataView(buffer, view.byteOffset, view.byteLength);
  const typed = view as Uint8Array;
  const Kind = Object.getPrototypeOf(typed).constructor as new (
    buffer: ArrayBuffer,
    at: number,
    length: number,
  ) => Uint8Array;
  return new Kind(buffer, typed.byteOffset, typed.length);
}

/** Holes stay holes. */
function emptyArray(length: number): unknown[] {
  const array: unknown[] = [];
  array.length = length;
  return array;
}

function cloneObject(value: object, seen: Map<object, object>): object {
  const keep = <T extends object>(copy: T): T => {
    seen.set(value, copy);
    return copy;
  };
  if (value instanceof Date) return keep(new Date(value.getTime()));
  if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
  if (value instanceof Error) return keep(cloneError(value));
  if (value instanceof ArrayBuffer) return keep(value.slice(0));
  if (ArrayBuffer.isView(value)) return keep(cloneView(value, seen));
  if (value instanceof Map) {
    const copy = keep(new Map<unknown, unknown>());
    for (const [key, item] of value) copy.set(clone(key, seen), clone(item, seen));
    return copy;
  }
  if (value instanceof Set) {
    const copy = keep(new Set<unknown>());
    for (const item of value) copy.add(clone(item, seen));
    return copy;
  }
  if (!Array.isArray(value) && !isPlain(value)) refuse(value);
  const copy: object = keep(Array.isArray(value) ? emptyArray(value.length) : {});
  for (const key of Object.keys(value)) {
    const item = clone(Reflect.get(value, key), seen);
    Object.defineProperty(copy, key, { value: item, writable: true, enumerable: true, configurable: true });
  }
  return copy;
}

function clone(value: unknown, seen: Map<object, object>): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') refuse(value);
  if (typeof value !== 'object' || value === null) return value;
  return seen.get(value) ?? cloneObject(value, seen);
}

/** @throws DataCloneError for functions, symbols and objects that hold something a copy would not have */
export function structuredClone<T>(value: T): T {
  return clone(value, new Map()) as T;
}
