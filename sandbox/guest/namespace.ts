/**
 * What `import … from 'bulkhead'` gives a module at run time. The classes are bound to the invocation, so that a module's constructor
 * needs no arguments; everything else is shared and frozen. `index.ts` is the same list for the type checker.
 */
import { sql } from 'kysely';
import { Controller, Module, Plugin, Product, type Runtime } from './base.ts';
import { CapabilityError, HttpError, NotGranted, TimeoutError, ValidationError } from './errors.ts';
import { abort, download, html, json, redirect, response } from './replies.ts';
import { rules, v, validate } from './validate.ts';
import { columnHelpers } from './namespace-db.ts';

const shared = {
  sql,
  ...columnHelpers,
  v,
  rules,
  validate,
  json,
  response,
  html,
  redirect,
  download,
  abort,
  CapabilityError,
  HttpError,
  NotGranted,
  TimeoutError,
  ValidationError,
  versionCompare,
  stripTags,
  escapeHtml,
} as const;

/** Compares two semantic versions: versionCompare('1.2.0', '1.10.0', '<') is true. */
export function versionCompare(a: string, b: string, operator: '<' | '<=' | '=' | '>=' | '>' = '='): boolean {
  const left = a.split(/[.-]/).map(Number);
  const right = b.split(/[.-]/).map(Number);
  let order = 0;
  for (let index = 0; index < 3 && order === 0; index++)
    order = Math.sign((left[index] ?? 0) - (right[index] ?? 0));
  return { '<': order < 0, '<=': order <= 0, '=': order === 0, '>=': order >= 0, '>': order > 0 }[operator];
}

export function stripTags(text: string): string {
  return text.replace(/<[^>]*>/g, '');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** One namespace for one invocation. The base classes are made when they are first asked for. */
export function createNamespace(runtime: Runtime): object {
  const bound = new Map<object, unknown>();
  const bind = (Class: abstract new (runtime: Runtime) => object): unknown => {
    const known = bound.get(Class);
    if (known !== undefined) return known;
    const Bound = class extends (Class as new (runtime: Runtime) => object) {
      constructor() {
        super(runtime);
      }
    };
    Object.defineProperty(Bound, 'name', { value: Class.name });
    bound.set(Class, Bound);
    return Bound;
  };
  return Object.freeze({
    ...shared,
    get Module() {
      return bind(Module);
    },
    get Product() {
      return bind(Product);
    },
    get Plugin() {
      return bind(Plugin);
    },
    get Controller() {
      return bind(Controller);
    },
  });
}
