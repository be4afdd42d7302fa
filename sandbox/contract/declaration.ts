/**
 * What a version says of itself, read once in a throw-away sandbox without grants and stored with it: which methods its class
 * has, its permissions, menu, routes and tabs. 403 and 404 then need no module code, and a name that comes with a request is
 * looked up here and never concatenated into a call.
 */
import * as v from 'valibot';
import { Field, Permission, Route, SidebarEntry } from './kinds/module.ts';
import { ClientActions, ServiceButtons } from './kinds/service-care.ts';

const Names = v.array(v.pipe(v.string(), v.maxLength(100)));

export const Declaration = v.object({
  /** Methods of the module's class, inherited ones included. */
  methods: Names,
  /** Those the class defines itself, or one of its author's own that it extends. */
  own_methods: Names,
  /** Controller class → its methods. */
  controllers: v.record(v.string(), Names),
  permissions: v.array(Permission),
  sidebar: v.array(SidebarEntry),
  web_routes: v.array(Route),
  api_routes: v.array(Route),
  tabs: v.array(v.object({ key: v.string(), name: v.string(), template: v.string() })),
  product_fields: v.array(Field),
  service_fields: v.array(Field),
  admin_buttons: v.optional(ServiceButtons, []),
  client_buttons: v.optional(ServiceButtons, []),
  client_actions: v.optional(ClientActions, []),
  /** What hooks.ts registered, in its order: a handler's number is its place here. */
  hooks: v.optional(v.array(v.object({ event: v.string(), priority: v.number() })), []),
  /** Things that work but are probably not meant, shown at install. */
  warnings: v.array(v.string()),
});
export type Declaration = v.InferOutput<typeof Declaration>;
