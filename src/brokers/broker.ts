/**
 * A broker is the host's side of one capability. Its type is derived from the contract, so that a broker that lacks an op does not
 * compile. Who calls is the scope, which comes from the channel; the input is already parsed by the op's schema, and the
 * grant is what this installation's admin allowed.
 */
import type {
  CapabilityName,
  Grant,
  OpArgument,
  OpName,
  OpOutput,
} from '../../sandbox/contract/capabilities.ts';
import type { Transaction } from 'kysely';
import type { Grants } from '../../sandbox/contract/grant.ts';
import type { Tables } from '../database/tables.ts';

/**
 * What the invocation is for; some ops are allowed in some only (DDL in lifecycle, steps in jobs, booking a payment in a delivery or a job).
 * A delivery is a webhook's, or a client's who comes back from a gateway: it says that something happened elsewhere.
 */
export type Purpose = 'request' | 'delivery' | 'job' | 'lifecycle' | 'declare';

/** A finished call worth a line in the timeline. */
export interface RecordedCall {
  readonly op: string;
  /** For example 'POST api.example.com/v2/droplets'. No query string, no secret. */
  readonly target: string;
  readonly status?: number;
  readonly errorCode?: string;
  readonly durationMs: number;
}

/** Identity and bounds of the invocation that makes a capability call. Nothing of it comes from the module. */
export interface Scope {
  readonly invocationId: string;
  readonly purpose: Purpose;
  readonly method: string;
  readonly tenantId: string;
  readonly installationId: string;
  /** The set of settings it runs with; null for the installation as a whole. */
  readonly instanceId: string | null;
  readonly versionId: string;
  readonly publisher: string;
  readonly moduleType: string;
  readonly moduleName: string;
  /** Schema of the installation in the modules database; null before the first enable. */
  readonly schemaName: string | null;
  readonly grants: Grants;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly egressAllow: readonly { readonly cidr: string; readonly port: number }[];
  /** Of the tenant. */
  readonly timezone: string;
  /** Methods that the version's class has: what tasks may name. */
  readonly methods: ReadonlySet<string>;
  /** Events that the manifest declares, without the module's name in front. */
  readonly emits: readonly string[];
  readonly serviceId: string | null;
  readonly taskId: string | null;
  readonly accountId: string | null;
  /** Milliseconds of performance.now(): no change of the clock moves it. */
  readonly deadlineAt: number;
  /** Aborted when the invocation ends for any reason. */
  readonly signal: AbortSignal;
  /** Runs when the invocation ends, in reverse order; `ok` tells how it ended. */
  onEnd(cleanup: (ok: boolean) => Promise<void> | void): void;
  /**
   * Work that must take effect only if the invocation succeeds, after the module's own commit (lifecycle invocations): in the
   * transaction that records the success.
   */
  afterSuccess(work: (trx: Transaction<Tables>) => Promise<void>): void;
  record(call: RecordedCall): void;
  /** Counts a use of a granted item, for example 'http.hosts:api.example.com'. */
  used(item: string): void;
}

export type Handler<C extends CapabilityName, O extends OpName<C>> = (
  scope: Scope,
  input: OpArgument<C, O>,
  grant: Grant<C>,
) => Promise<OpOutput<C, O>>;

export type Broker<C extends CapabilityName> = { readonly [O in OpName<C>]: Handler<C, O> };

export type Brokers = { readonly [C in CapabilityName]: Broker<C> };
