/**
 * What `import … from 'bulkhead'` gives a module at run time. The classes are bound to the invocation, so that a module's constructor
 * needs no arguments; everything else is shared and frozen. `index.ts` is the same list for the type checker.
 */
import { sql } from 'kysely';
import { Controller, Module, Notification, Payment, Plugin, Product, type Runtime } from './base.ts';
import { CapabilityError, HttpError, NotGranted, TimeoutError, ValidationError } from './errors.ts';
import { abort, download, html, json, redirect, response } from './replies.ts';
import { escapeHtml, stripTags, versionCompare } from './text.ts';
import { md5 } from './web/crypto.ts';
import { now } from './moment.ts';
import { ownNameHelpers } from './own-name.ts';
import { randomInt, strongPassword } from './random.ts';
import { rules, v, validate, validated } from './validate.ts';
import { id, ipAddress, oneOf, string, timestamps, uuid } from './db/columns.ts';
import { model } from './db/model.ts';

const shared = {
  sql,
  model,
  id,
  uuid,
  string,
  timestamps,
  ipAddress,
  oneOf,
  v,
  rules,
  validate,
  validated,
  now,
  md5,
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
    ...ownNameHelpers(runtime),
    randomInt: (min: number, max: number) => randomInt(runtime.randomBytes, min, max),
    generateStrongPassword: (length = 16) => strongPassword(runtime.randomBytes, length),
    on: runtime.on,
    get Module() {
      return bind(Module);
    },
    get Product() {
      return bind(Product);
    },
    get Plugin() {
      return bind(Plugin);
    },
    get Payment() {
      return bind(Payment);
    },
    get Notification() {
      return bind(Notification);
    },
    get Controller() {
      return bind(Controller);
    },
  });
}
