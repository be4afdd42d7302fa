/**
 * Freezes the isolate's world before a module's first line runs, so that nothing one invocation does can be seen by the next.
 * A plain freeze breaks honest code (`this.name = …` in an Error subclass fails when Error.prototype.name is read-only), so the
 * properties that programs do override become accessors that define an own property on the receiver.
 */

/** What closes hangs and memory that no limit of the isolate sees (threats.md 1, 2), and nothing a module needs. */
const REMOVED_GLOBALS = [
  'WebAssembly',
  'SharedArrayBuffer',
  'Atomics',
  'FinalizationRegistry',
  'WeakRef',
  'console',
  'escape',
  'unescape',
];
const REMOVED_METHODS: readonly (readonly [object, readonly string[]])[] = [
  [ArrayBuffer.prototype, ['resize', 'transfer', 'transferToFixedLength']],
  [String.prototype, ['normalize']],
  // Changes a frozen expression from within, and with it every later invocation's.
  [RegExp.prototype, ['compile']],
];
/** Legacy statics through which the last match of one caller can be read by another. */
const REGEXP_STATICS = [
  'input',
  '$_',
  'lastMatch',
  '$&',
  'lastParen',
  '$+',
  'leftContext',
  '$`',
  'rightContext',
  "$'",
  '$1',
  '$2',
  '$3',
  '$4',
  '$5',
  '$6',
  '$7',
  '$8',
  '$9',
];

const { defineProperty, freeze, preventExtensions, getOwnPropertyDescriptor, getPrototypeOf } = Object;
const { ownKeys, apply } = Reflect;
const NativeTypeError = TypeError;

/** Prototypes whose properties programs assign on derived objects: all of their properties are made overridable. */
function overridablePrototypes(): object[] {
  return [
    Object.prototype,
    Error.prototype,
    TypeError.prototype,
    RangeError.prototype,
    SyntaxError.prototype,
    ReferenceError.prototype,
    EvalError.prototype,
    URIError.prototype,
    AggregateError.prototype,
  ];
}
/** Elsewhere only these. */
const OVERRIDABLE_NAMES = ['constructor', 'toString', 'toJSON', 'name'];

/** Returns the property's value, which no property leads to any more: only the accessor holds it, and it must be frozen too. */
function makeOverridable(prototype: object, key: PropertyKey): unknown {
  const descriptor = getOwnPropertyDescriptor(prototype, key);
  if (descriptor === undefined || !('value' in descriptor) || descriptor.configurable !== true)
    return undefined;
  const value: unknown = descriptor.value;
  const accessors = {
    get(): unknown {
      return value;
    },
    set(this: object, next: unknown): void {
      if (this === prototype)
        throw new NativeTypeError(`Cannot assign to read only property '${String(key)}'`);
      defineProperty(this, key, { value: next, writable: true, enumerable: true, configurable: true });
    },
  };
  defineProperty(prototype, key, {
    get: accessors.get,
    set: accessors.set,
    enumerable: descriptor.enumerable ?? false,
    configurable: false,
  });
  return value;
}

function removeDangerous(world: object): void {
  for (const name of REMOVED_GLOBALS) Reflect.deleteProperty(world, name);
  for (const [holder, names] of REMOVED_METHODS)
    for (const name of names) Reflect.deleteProperty(holder, name);
  for (const name of REGEXP_STATICS) Reflect.deleteProperty(RegExp, name);
}

/** ArrayBuffer without growth: a resizable one escapes the isolate's memory limit (seen: +1.2 GB). */
function fixedSizeArrayBuffer(world: object): void {
  const Native = ArrayBuffer;
  const Fixed = function ArrayBuffer(length: number): ArrayBuffer {
    if (new.target === undefined)
      throw new NativeTypeError("Class constructor ArrayBuffer cannot be invoked without 'new'");
    return Reflect.construct(Native, [length], new.target) as ArrayBuffer;
  };
  defineProperty(Fixed, 'prototype', { value: Native.prototype, writable: false });
  defineProperty(Fixed, 'isView', { value: (value: unknown) => apply(Native.isView, Native, [value]) });
  defineProperty(Native.prototype, 'constructor', { value: Fixed, writable: true, configurable: true });
  defineProperty(world, 'ArrayBuffer', { value: Fixed, writable: true, configurable: true });
}

/** Intrinsics that no global names. */
function hiddenIntrinsics(): object[] {
  const generator = function* (): Generator {};
  const asyncGenerator = async function* (): AsyncGenerator {};
  const samples: object[] = [
    generator,
    asyncGenerator,
    async () => undefined,
    generator(),
    asyncGenerator(),
    [][Symbol.iterator](),
    new Map()[Symbol.iterator](),
    new Set()[Symbol.iterator](),
    ''[Symbol.iterator](),
    'a'.matchAll(/a/g),
    Iterator.from({ next: () => ({ done: true, value: undefined }) }),
    [].values().map((value: unknown) => value),
    new Uint8Array(0),
    Intl,
  ];
  if ('Segmenter' in Intl) {
    const segments = new Intl.Segmenter('en').segment('a');
    samples.push(segments, segments[Symbol.iterator]());
  }
  // An error's stack is an accessor of its own, with one getter and one setter for all errors.
  const stack = getOwnPropertyDescriptor(new Error('x'), 'stack');
  const accessors = [stack?.get, stack?.set].filter((accessor) => accessor !== undefined);
  return [...samples.flatMap((sample) => prototypesOf(sample)), ...accessors];
}

function prototypesOf(value: object): object[] {
  const chain: object[] = [];
  for (
    let current = getPrototypeOf(value) as object | null;
    current !== null;
    current = getPrototypeOf(current) as object | null
  )
    chain.push(current);
  return chain;
}

/**
 * Freezes one object. Typed arrays with elements cannot be frozen, and the guest shares none; a global RegExp needs its lastIndex
 * to work at all, and none of them is reachable for a module.
 */
function close(value: object): void {
  if (ArrayBuffer.isView(value)) return;
  if (value instanceof RegExp && (value.global || value.sticky)) preventExtensions(value);
  else freeze(value);
}

/** Goes to all that is reachable from the roots through properties, accessors and prototypes, once to each and to none of `seen`. */
function walk(roots: readonly unknown[], seen: Set<object>, visit?: (value: object) => void): void {
  const queue: unknown[] = [...roots];
  while (queue.length > 0) {
    const value = queue.pop();
    if ((typeof value !== 'object' || value === null) && typeof value !== 'function') continue;
    if (seen.has(value)) continue;
    seen.add(value);
    visit?.(value);
    queue.push(getPrototypeOf(value));
    for (const key of ownKeys(value)) {
      // Nearly all that is frozen are functions, and nearly all of their properties are these two plain ones.
      if ((key === 'length' || key === 'name') && typeof value === 'function') continue;
      const descriptor = getOwnPropertyDescriptor(value, key);
      if (descriptor === undefined) continue;
      if ('value' in descriptor) queue.push(descriptor.value);
      else queue.push(descriptor.get, descriptor.set);
    }
  }
}

/** Freezes all that is reachable from the roots. */
export function freezeDeep(roots: readonly unknown[]): void {
  walk(roots, new Set(), close);
}

function intrinsicsOf(world: object): object[] {
  return [
    ...ownKeys(world).map((key) => getOwnPropertyDescriptor(world, key)?.value as object),
    ...hiddenIntrinsics(),
  ];
}

/**
 * Freezes the runtime's own objects, those that modules will be able to reach, and nothing of the language: V8 goes on adding to that when
 * it makes a world from a snapshot, and gives up the process if it cannot.
 */
export function freezeOwn(world: object, own: readonly object[]): void {
  const language = new Set<object>();
  walk(intrinsicsOf(world), language);
  walk(own, language, close);
}

/** Hardens the language itself. Call in each new world, before any module code and when V8 has nothing more to add. */
export function harden(world: typeof globalThis): void {
  removeDangerous(world);
  fixedSizeArrayBuffer(world);
  const intrinsics = intrinsicsOf(world);
  const hidden: unknown[] = [];
  for (const prototype of overridablePrototypes())
    for (const key of ownKeys(prototype)) hidden.push(makeOverridable(prototype, key));
  for (const intrinsic of intrinsics) {
    if (typeof intrinsic !== 'function' && typeof intrinsic !== 'object') continue;
    const holder =
      typeof intrinsic === 'function' ? (intrinsic as { prototype?: unknown }).prototype : intrinsic;
    if (typeof holder === 'object' && holder !== null)
      for (const name of OVERRIDABLE_NAMES) hidden.push(makeOverridable(holder, name));
  }
  freezeDeep([...intrinsics, ...hidden]);
  freeze(world);
}
