/**
 * The one declaration everything derives from. An op is a call across the boundary with a name, a sentence for people, and
 * schemas for what goes in and what comes out; a capability is a set of ops a module may call; a kind is a set of ops the
 * host may call. Types, parsers on both sides, documentation, consent screen and refusal tests are read off these records.
 *
 * Glossary
 * - Module: a stranger's program, named publisher/Type/Name. Manifest: its module.json, readable without running it.
 * - Version: one immutable, signed package of a module. Declaration: what a version said of itself at install (routes, tabs …).
 * - Kind: what the host may call on a module of a type (Product, Plugin, Payment, Notification).
 * - Capability: something a module may call on the host (db, http …). Op: one such call. Broker: the host's side of a capability.
 * - Ask: one thing a manifest wants. Grant: what a tenant's admin allowed of it. Deny by default.
 * - Tenant: a customer of the operator. Installation: tenant × module, with grants, schema, roles. Instance: one set of its settings.
 * - Invocation: one entry into a module with one deadline, one identity, one bill. Sandbox: all that keeps it in.
 * - Runner: the child process with the isolates of one group. Supervisor: the parent's side of it.
 * - Envelope: {ok, value} or {ok: false, error: {code, message}}; nothing else crosses.
 */
import * as v from 'valibot';

export type Schema = v.GenericSchema;
export type In<S extends Schema> = v.InferInput<S>;
export type Out<S extends Schema> = v.InferOutput<S>;

/** One call a module may make on the host. `notify` ops have no answer and cannot fail towards the module. */
export interface Op<I extends Schema = Schema, O extends Schema = Schema> {
  readonly doc: string;
  readonly input: I;
  readonly output: O;
  readonly notify: boolean;
}

export function op<I extends Schema, O extends Schema>(doc: string, input: I, output: O): Op<I, O> {
  return { doc, input, output, notify: false };
}

/** An op without an answer: a log line, a progress note. */
export function notification<I extends Schema>(doc: string, input: I): Op<I, v.VoidSchema<undefined>> {
  return { doc, input, output: v.void(), notify: true };
}

export type Ops = Readonly<Record<string, Op>>;

/** One method the host may call on a module. `args` is the tuple of its arguments, `result` what it may return. */
export interface Method<A extends Schema = Schema, R extends Schema = Schema> {
  readonly doc: string;
  readonly args: A;
  readonly result: R;
  /** A class without this method is refused at install. */
  readonly required: boolean;
}

export function method<A extends Schema, R extends Schema>(
  doc: string,
  args: A,
  result: R,
  options: { required?: boolean } = {},
): Method<A, R> {
  return { doc, args, result, required: options.required ?? false };
}

export type Methods = Readonly<Record<string, Method>>;

/** A family of methods whose names hold a part the module chose, for example `variables_{tab}`. */
export interface MethodFamily {
  readonly doc: string;
  readonly result: Schema;
  /** The names this family may have, given what the module declared. */
  readonly names: (declared: {
    readonly tabs: readonly string[];
    readonly adminButtons?: readonly string[];
    readonly clientButtons?: readonly string[];
  }) => readonly string[];
}

export interface Kind<T extends string = string, M extends Methods = Methods> {
  readonly type: T;
  readonly doc: string;
  /** True where a tenant may have several sets of settings, each with secrets and a webhook address of its own. */
  readonly instances: boolean;
  /** Methods that the host alone queues as jobs, with the arguments each gets out of the task's params. */
  readonly hostJobs?: Readonly<
    Record<string, (params: Readonly<Record<string, unknown>>) => readonly unknown[]>
  >;
  readonly methods: M;
  readonly families: readonly MethodFamily[];
}

export function kind<T extends string, M extends Methods>(definition: Kind<T, M>): Kind<T, M> {
  return definition;
}
