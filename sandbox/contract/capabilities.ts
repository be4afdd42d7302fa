/** The closed record of capabilities. A new one is a file in capabilities/ and a line here; a broker without it does not compile. */
import { cache } from './capabilities/cache.ts';
import { clients } from './capabilities/clients.ts';
import { compute } from './capabilities/compute.ts';
import { crypt } from './capabilities/crypt.ts';
import { db } from './capabilities/db.ts';
import { events } from './capabilities/events.ts';
import { http } from './capabilities/http.ts';
import { invoices } from './capabilities/invoices.ts';
import { logs } from './capabilities/logs.ts';
import { redirect } from './capabilities/redirect.ts';
import { products } from './capabilities/products.ts';
import { net } from './capabilities/net.ts';
import { secrets } from './capabilities/secrets.ts';
import { service } from './capabilities/service.ts';
import { mail } from './capabilities/mail.ts';
import { notify } from './capabilities/notify.ts';
import { smtp } from './capabilities/smtp.ts';
import { steps } from './capabilities/steps.ts';
import { tasks } from './capabilities/tasks.ts';
import { views } from './capabilities/views.ts';
import type { GrantOf } from './grant.ts';
import type { In, Op, Out } from './op.ts';

export const capabilities = {
  db,
  http,
  net,
  smtp,
  mail,
  notify,
  secrets,
  tasks,
  events,
  cache,
  compute,
  steps,
  service,
  clients,
  products,
  crypt,
  invoices,
  redirect,
  views,
  logs,
} as const;

export type Capabilities = typeof capabilities;
export type CapabilityName = keyof Capabilities;
export type OpName<C extends CapabilityName> = keyof Capabilities[C]['ops'] & string;
type OpOf<C extends CapabilityName, O extends OpName<C>> =
  Capabilities[C]['ops'][O] extends Op<infer I, infer R> ? { input: I; output: R } : never;

/** What a module passes, what a broker receives after parsing, what it answers, and what the module gets. */
export type OpInput<C extends CapabilityName, O extends OpName<C>> = In<OpOf<C, O>['input']>;
export type OpArgument<C extends CapabilityName, O extends OpName<C>> = Out<OpOf<C, O>['input']>;
export type OpOutput<C extends CapabilityName, O extends OpName<C>> = Out<OpOf<C, O>['output']>;

/** What was granted of a capability, as its broker sees it. */
export type Grant<C extends CapabilityName> = GrantOf<Capabilities[C]['grant']>;

/** `http.request` → the op's declaration, or undefined: what a guest names is looked up, never concatenated into a call. */
export function findOp(path: string): { capability: CapabilityName; name: string; op: Op } | undefined {
  const dot = path.indexOf('.');
  const capability = path.slice(0, dot);
  const name = path.slice(dot + 1);
  if (!Object.hasOwn(capabilities, capability)) return undefined;
  const known = capability as CapabilityName;
  const ops: Readonly<Record<string, Op>> = capabilities[known].ops;
  const found = Object.hasOwn(ops, name) ? ops[name] : undefined;
  return found === undefined ? undefined : { capability: known, name, op: found };
}
