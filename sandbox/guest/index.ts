/**
 * What module authors import from 'bulkhead', for the type checker: at run time the guest's namespace (namespace.ts) answers instead, with
 * the classes bound to the invocation, which is why their constructors take no arguments here.
 */
import type {
  Controller as BaseController,
  Module as BaseModule,
  Notification as BaseNotification,
  Payment as BasePayment,
  Plugin as BasePlugin,
  Product as BaseProduct,
} from './base.ts';
import type { On } from './hooks.ts';

import type { OwnNameHelpers } from './own-name.ts';

type AnyTables = Record<string, Record<string, unknown>>;

export declare abstract class Module<Tables = AnyTables> extends BaseModule<Tables> {
  constructor();
}
export declare abstract class Product<Tables = AnyTables> extends BaseProduct<Tables> {
  constructor();
}
export declare abstract class Plugin<Tables = AnyTables> extends BasePlugin<Tables> {
  constructor();
}
export declare abstract class Payment<Tables = AnyTables> extends BasePayment<Tables> {
  constructor();
}
export declare abstract class Notification<Tables = AnyTables> extends BaseNotification<Tables> {
  constructor();
}
export declare abstract class Controller<Tables = AnyTables> extends BaseController<Tables> {
  constructor();
}

export type { ActionAnswer, Data, PayData, RefundAnswer, SaveAnswer, Tabs } from './base.ts';
export type { Renewal } from '../contract/kinds/product.ts';
export type {
  ClientAction,
  PasswordRequest,
  ReconcileAnswer,
  ServiceButton,
  UsageAnswer,
  Who,
} from '../contract/kinds/service-care.ts';
export type { Message } from '../contract/kinds/notification.ts';
export type { InvoiceView } from '../contract/kinds/payment.ts';
export type { Field, Permission, Route, SidebarEntry } from '../contract/kinds/module.ts';
export declare const on: On;
export type { ModuleEvent } from './hooks.ts';
export type { IncomingRequest } from './request.ts';
export type { Reply } from './replies.ts';
export type { StepInfo, StepOptions } from './step.ts';
export type { Validated } from './validate.ts';
export { CapabilityError, HttpError, NotGranted, TimeoutError, ValidationError } from './errors.ts';
export { abort, download, html, json, redirect, response } from './replies.ts';
export { rules, validate, validated } from './validate.ts';
export * as v from 'valibot';
export { escapeHtml, stripTags, versionCompare } from './text.ts';
export { sql, type Generated, type Insertable, type Kysely, type Selectable, type Updateable } from 'kysely';
export { id, ipAddress, oneOf, string, timestamps, uuid } from './db/columns.ts';
export { now } from './moment.ts';
export type { Moment } from './moment.ts';
export { md5 } from './web/crypto.ts';
export type { LogLevel, LogPart } from './own-name.ts';
export type { Clients, ListedService, Products, Service, Services } from './records.ts';

/** The guide's global helpers, for the module's own type and name only. */
export declare const view_admin_module: OwnNameHelpers['view_admin_module'];
export declare const logModule: OwnNameHelpers['logModule'];
/** A whole number from min to max, both included, from secure randomness. */
export declare function randomInt(min: number, max: number): number;
export declare function generateStrongPassword(length?: number): string;
export { model } from './db/model.ts';
export type { Http } from './http.ts';
export type { Net } from './base.ts';
