/**
 * What `import … from 'bulkhead'` gives a module at run time: one frozen object for all invocations. What needs to know which invocation it
 * works for asks current.ts. `index.ts` is the same list for the type checker.
 */
import { sql } from 'kysely';
import { Controller, Module, Notification, Payment, Plugin, Product } from './base.ts';
import { currentRuntime } from './current.ts';
import { CapabilityError, HttpError, NotGranted, TimeoutError, ValidationError } from './errors.ts';
import { abort, download, html, json, redirect, response } from './replies.ts';
import type { On } from './hooks.ts';
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

const randomBytes = (length: number): Uint8Array => currentRuntime().randomBytes(length);
const on: On = (event, handler, options) => currentRuntime().on(event, handler, options);

/** The one namespace of all invocations: nothing in it holds anything of any of them. */
export const namespace = Object.freeze({
  ...shared,
  ...ownNameHelpers,
  randomInt: (min: number, max: number) => randomInt(randomBytes, min, max),
  generateStrongPassword: (length = 16) => strongPassword(randomBytes, length),
  on,
  Module,
  Product,
  Plugin,
  Payment,
  Notification,
  Controller,
});
