/**
 * One invocation as it crosses the boundary: the identity the module may know (context), the calls to make on one fresh instance,
 * and what comes back. Everything here is JSON.
 */
import * as v from 'valibot';
import { Body, Headers } from './capabilities/http.ts';

/**
 * What all invocations of an installation, or of one of its instances, have in common until something of it changes. It crosses as the text it
 * is, made once, and is read in the isolate only when a module asks for something of it.
 */
export interface SharedContext {
  readonly module: { readonly type: string; readonly name: string; readonly version: string };
  /** Names of the capabilities that are granted (or inherent); the others are absent from `this`. */
  readonly capabilities: readonly string[];
  /** Installation settings over the manifest's config; secret fields hold their handles. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Secret name → handle. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly tenant: {
    readonly uuid: string;
    readonly name: string;
    readonly locale: string;
    readonly currency: string;
    readonly timezone: string;
  };
  readonly locale: string;
  /** Where the module's assets are served, ending in '/'. */
  readonly asset_base: string;
  /** Where deliveries for the instance (else for the installation) are taken; null while the module is read. */
  readonly webhook_url: string | null;
}

/** What one invocation alone is about. */
export interface OwnContext {
  readonly auth: {
    readonly id: string;
    readonly kind: 'admin' | 'client' | 'operator';
    readonly permissions: readonly string[];
  } | null;
  readonly product: { readonly uuid: string; readonly data: Readonly<Record<string, unknown>> } | null;
  readonly service: {
    readonly uuid: string;
    readonly data: Readonly<Record<string, unknown>>;
    readonly provision_data: Readonly<Record<string, unknown>>;
  } | null;
  /** The set of settings this invocation is for; its module_data is made before anything else is called. */
  readonly instance: { readonly uuid: string; readonly name: string } | null;
  /** Where a gateway sends the client back to; null unless the invocation is about a client's payment. */
  readonly pay: { readonly return_url: string; readonly cancel_url: string } | null;
  readonly task: { readonly uuid: string; readonly attempt: number } | null;
  /** The version the installation ran before, during update. */
  readonly from_version: string | null;
  /** Epoch milliseconds when the invocation began. */
  readonly now: number;
  /** 32 random bytes, base64: the root of crypto.getRandomValues in this invocation. */
  readonly seed: string;
}

/** What a module sees as `this.tenant`, `this.auth`, `this.config()` and so on (contract §4). Built by the host, never believed back. */
export type InvocationContext = SharedContext & OwnContext;

/** A request as it reaches a module's controller, tab or webhook. `path` is below the module's own prefix. */
export const ModuleRequest = v.object({
  method: v.picklist(['GET', 'POST', 'PUT', 'DELETE']),
  url: v.string(),
  headers: Headers,
  body: Body,
  /** `{param}` parts of the route's uri. */
  params: v.record(v.string(), v.string()),
});
export type ModuleRequest = v.InferOutput<typeof ModuleRequest>;

/** What a module may answer to a request. HTML is only ever shown in the module's own frame. */
export const ModuleResponse = v.variant('kind', [
  v.object({ kind: v.literal('html'), status: v.number(), html: v.string() }),
  v.object({ kind: v.literal('json'), status: v.number(), body: v.unknown() }),
  v.object({ kind: v.literal('text'), status: v.number(), text: v.string() }),
  v.object({
    kind: v.literal('bytes'),
    status: v.number(),
    base64: v.string(),
    type: v.string(),
    filename: v.optional(v.string()),
  }),
  v.object({ kind: v.literal('redirect'), status: v.number(), to: v.string() }),
]);
export type ModuleResponse = v.InferOutput<typeof ModuleResponse>;

/** Where a call goes: the runtime itself (describe), the module's class, or one of its controllers. */
export type CallTarget =
  | { readonly on: 'runtime' }
  | { readonly on: 'module' }
  | { readonly on: 'controller'; readonly controller: string }
  /** A handler of hooks.ts, by its number; `method` is the event's name. */
  | { readonly on: 'hook'; readonly number: number };

/** One method call; all calls of an invocation run in order on the same instance. */
export interface ModuleCall {
  readonly target: CallTarget;
  readonly method: string;
  readonly args: readonly unknown[];
  /** Put in front of args as a Request object. */
  readonly request?: ModuleRequest;
}

export interface InvocationInput {
  /** Its text is made once for each object: the same object for the same words saves making them again. */
  readonly shared: SharedContext;
  readonly context: OwnContext;
  readonly calls: readonly ModuleCall[];
}

/** A whole context in its two parts. */
export function splitContext(whole: InvocationContext): Pick<InvocationInput, 'shared' | 'context'> {
  const { module, capabilities, config, secrets, tenant, locale, asset_base, webhook_url, ...context } =
    whole;
  return {
    shared: { module, capabilities, config, secrets, tenant, locale, asset_base, webhook_url },
    context,
  };
}

/** The result of one call: plain data, or a response made by view(), json(), redirect() … */
export const CallResult = v.union([v.object({ value: v.unknown() }), v.object({ response: ModuleResponse })]);
export const InvocationOutput = v.object({ results: v.array(CallResult) });
export type InvocationOutput = v.InferOutput<typeof InvocationOutput>;
