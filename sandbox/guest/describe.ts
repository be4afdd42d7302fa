/** What a module's code says of itself when asked in the throw-away sandbox: the names that requests and tasks may use later. */
import type { Base } from './base.ts';
import type { ModuleExports } from './boot.ts';
import type { Hook } from './hooks.ts';

function methodNames(start: object, own: boolean): string[] {
  const names = new Set<string>();
  let prototype = Object.getPrototypeOf(start) as object | null;
  while (prototype !== null && prototype !== Object.prototype) {
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (typeof descriptor.value === 'function' && name !== 'constructor') names.add(name);
    }
    if (own) break;
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
    methods: methodNames(instance, false),
    own_methods: methodNames(instance, true),
    controllers: Object.fromEntries(controllers) as Record<string, string[]>,
    hooks: hooks.map(({ event, priority }) => ({ event, priority })),
  };
}
