/** What a module's code says of itself when asked in the throw-away sandbox: the names that requests and tasks may use later. */
import { type Base, Controller, Module, Notification, Payment, Plugin, Product } from './base.ts';
import type { ModuleExports } from './boot.ts';
import type { Hook } from './hooks.ts';

/** Where what an author wrote ends: classes of the author's own between these and the module's count as the module's. */
const BASES = { Module, Product, Plugin, Payment, Notification } as const;
const GIVEN: ReadonlySet<object> = new Set(
  [...Object.values(BASES), Controller].map(({ prototype }) => prototype),
);

/** The base class that the module extends, by its name; null: none. */
function baseName(instance: object): string | null {
  const [name] = Object.entries(BASES).findLast(([, { prototype }]) =>
    Object.prototype.isPrototypeOf.call(prototype, instance),
  ) ?? [null];
  return name;
}

function methodNames(start: object, own: boolean): string[] {
  const names = new Set<string>();
  let prototype = Object.getPrototypeOf(start) as object | null;
  while (prototype !== null && prototype !== Object.prototype) {
    if (own && GIVEN.has(prototype)) break;
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (typeof descriptor.value === 'function' && name !== 'constructor') names.add(name);
    }
    prototype = Object.getPrototypeOf(prototype) as object | null;
  }
  return [...names].sort();
}

export function describe(exports: ModuleExports, instance: Base, hooks: readonly Hook[]): unknown {
  const controllers = Object.entries(exports.controllers ?? {}).map(([name, Class]) => [
    name,
    methodNames(Object.create(Class.prototype as object) as object, true),
  ]);
  return {
    class_name: instance.constructor.name,
    base: baseName(instance),
    methods: methodNames(instance, false),
    own_methods: methodNames(instance, true),
    controllers: Object.fromEntries(controllers) as Record<string, string[]>,
    hooks: hooks.map(({ event, priority }) => ({ event, priority })),
  };
}
