/** What the host calls on a module of any type: lifecycle, admin pages and routes, webhooks, settings. The other kinds build on it. */
import * as v from 'valibot';
import { LIMITS } from '../limits.ts';
import { method, type Methods } from '../op.ts';
import { PlainLine, PlainLines } from '../plain-text.ts';

const Data = v.record(v.string(), v.unknown());
const Short = v.pipe(PlainLine(200), v.minLength(1));
const Note = v.optional(PlainLines(2_000), '');
const Key = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'lower-case letters, digits, ".", "_" and "-" are expected'),
);

/** 'success', or a text that says what went wrong. */
export const LifecycleResult = v.string();

/** Errors by field, as the guide's validator gives them. */
export const FieldErrors = v.record(v.string(), v.union([v.string(), v.array(v.string())]));
/** The guide's answer of a save method: 200 with data, or 422 with errors by field in `errors` or in `message`. */
export const SaveResult = v.union([
  v.object({
    status: v.literal('success'),
    data: v.optional(Data),
    code: v.optional(v.number()),
    message: v.optional(v.string()),
  }),
  v.object({
    status: v.literal('error'),
    message: v.optional(v.union([v.string(), FieldErrors])),
    errors: v.optional(FieldErrors),
    code: v.optional(v.number()),
  }),
]);
/** What a method that queues or works answers. A returned error ends a task without retry unless `retry` is true. */
export const ActionResult = v.pipe(
  v.looseObject({
    status: v.optional(v.string()),
    success: v.optional(v.boolean()),
    message: v.optional(v.unknown()),
    error: v.optional(v.unknown()),
    data: v.optional(v.unknown()),
    retry: v.optional(v.boolean()),
  }),
  v.check(
    (result) => result.status !== undefined || result.success !== undefined,
    'an object with status or success is expected',
  ),
);

export const Permission = v.object({ name: Short, key: Key, description: Note });
export const SidebarEntry = v.object({
  title: Short,
  link: Short,
  active_links: v.optional(v.pipe(v.array(Short), v.maxLength(LIMITS.declaredMenuEntries)), []),
  permission: v.optional(Key),
  icon: v.optional(v.pipe(v.string(), v.maxLength(60))),
});
export const Route = v.object({
  method: v.picklist(['get', 'post', 'put', 'delete'], 'get, post, put or delete is expected'),
  uri: v.pipe(
    v.string(),
    v.regex(
      /^[A-Za-z0-9][A-Za-z0-9/_{}.-]{0,199}$/,
      'a path below the module is expected, for example "servers/{uuid}"',
    ),
  ),
  permission: Key,
  name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)),
  controller: v.pipe(
    v.string(),
    v.regex(/^[A-Za-z][A-Za-z0-9]*@[A-Za-z][A-Za-z0-9]*$/, '"XController@method" is expected'),
  ),
});
export type Permission = v.InferOutput<typeof Permission>;
export type SidebarEntry = v.InferOutput<typeof SidebarEntry>;
export type Route = v.InferOutput<typeof Route>;

export const Option = v.object({ value: v.string(), title: v.string() });
export type Option = v.InferOutput<typeof Option>;

/** A typed field: it draws the form, checks the input and documents itself. */
const FieldShape = v.object({
  key: v.pipe(
    v.string(),
    v.regex(/^[a-z][a-z0-9_]{0,39}$/, 'a lower-case name of letters, digits and _ is expected'),
  ),
  type: v.picklist(['text', 'number', 'select', 'switch', 'secret', 'textarea', 'multi-select', 'password']),
  title: Short,
  help: Note,
  required: v.optional(v.boolean(), false),
  default: v.optional(v.unknown()),
  options: v.optional(v.pipe(v.array(Option), v.maxLength(LIMITS.fieldOptions))),
  /** A method of the module that gives the options when the form is drawn: a list of texts, or of {value, title}. */
  options_from: v.optional(
    v.pipe(v.string(), v.regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'the name of a method is expected')),
  ),
  min: v.optional(v.number()),
  max: v.optional(v.number()),
  placeholder: v.optional(v.string()),
});
export const Field = v.pipe(
  FieldShape,
  v.check(
    ({ type, options, options_from: from }) =>
      from === undefined || (options === undefined && (type === 'select' || type === 'multi-select')),
    'options_from is for select and multi-select, in place of options',
  ),
);
export type Field = v.InferOutput<typeof Field>;

const NoArgs = v.tuple([]);
export const DataArgs = v.tuple([Data]);
export { Data };

export const moduleMethods = {
  activate: method(
    'Makes what the module needs (tables, seeds). Idempotent: it may run again on kept data.',
    NoArgs,
    LifecycleResult,
  ),
  deactivate: method(
    'Stops what the module does. Data stays: purge() is a separate, confirmed action.',
    NoArgs,
    LifecycleResult,
  ),
  update: method(
    'Migrates data between versions; fromVersion is the one that ran before.',
    v.tuple([v.string()]),
    LifecycleResult,
  ),
  purge: method(
    'Removes what is kept elsewhere, before the host drops the module’s schema.',
    NoArgs,
    LifecycleResult,
  ),
  adminPermissions: method(
    'Permissions the module’s own pages need; key becomes {Type}-{Name}-{key}.',
    NoArgs,
    v.array(Permission),
  ),
  adminSidebar: method('Menu entries; `link` is a route name.', NoArgs, v.array(SidebarEntry)),
  adminWebRoutes: method('Admin pages.', NoArgs, v.array(Route)),
  adminApiRoutes: method('Admin API for the pages’ scripts.', NoArgs, v.array(Route)),
  testConnection: method(
    'Whether the other side answers and takes the credentials: {status, message?}. Of the product or instance whose page asks, else of the module’s settings.',
    NoArgs,
    ActionResult,
  ),
  apiWebhookPost: method(
    'A webhook delivery. `request.rawBody` holds the bytes that were signed.',
    NoArgs,
    v.unknown(),
  ),
  apiWebhookGet: method(
    'A webhook’s GET, for services that verify an address that way.',
    NoArgs,
    v.unknown(),
  ),
} as const satisfies Methods;
