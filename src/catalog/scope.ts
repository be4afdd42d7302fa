/** The scope of one invocation: identity for the brokers, and the list of what has to happen when the invocation ends. */
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { RecordedCall, Purpose, Scope } from '../brokers/broker.ts';
import type { Installation } from './installations.ts';
import { type Instance, settingsOf } from './instances.ts';
import type { Recorder } from './recorder.ts';

export interface ScopeInput {
  readonly invocationId: string;
  readonly installation: Installation;
  readonly instance: Instance | null;
  readonly purpose: Purpose;
  readonly method: string;
  readonly serviceId: string | null;
  readonly taskId: string | null;
  readonly accountId: string | null;
  readonly deadlineAt: number;
  readonly ending: Ending;
}

/** Made once: a reason of its own for each end, with a stack, would cost more than the rest of the end. */
const OVER = new HostError('ENDED', 'The invocation has ended.');

/** Whether an invocation is over. The signal is made when a broker asks for one: most invocations have nothing to interrupt. */
export class Ending {
  #over = false;
  #controller: AbortController | undefined;

  get over(): boolean {
    return this.#over;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#over) this.#controller.abort(OVER);
    }
    return this.#controller.signal;
  }

  end(): void {
    this.#over = true;
    this.#controller?.abort(OVER);
  }
}

/** What waits for the transaction that records the invocation's success. */
export type Deferred = Parameters<Scope['afterSuccess']>[0];

export interface OpenScope {
  readonly scope: Scope;
  /** Runs what waits for the end, latest first. A failure of one (a commit that was refused) is thrown after all have run. */
  finish(ok: boolean): Promise<void>;
  /** Calls that were refused so far. */
  refusals: number;
  /** What takes effect only after the module's own commit, in the order it was asked for. */
  readonly deferred: readonly Deferred[];
}

/** A class for the sake of its one getter: in an object literal that would be a new kind of object for each invocation. */
class InvocationScope implements Scope {
  readonly invocationId: string;
  readonly purpose: Purpose;
  readonly method: string;
  readonly tenantId: string;
  readonly installationId: string;
  readonly instanceId: string | null;
  readonly versionId: string;
  readonly publisher: string;
  readonly moduleType: string;
  readonly moduleName: string;
  readonly schemaName: string | null;
  readonly grants: Scope['grants'];
  readonly settings: Scope['settings'];
  readonly egressAllow: Scope['egressAllow'];
  readonly timezone: string;
  readonly methods: Scope['methods'];
  readonly emits: Scope['emits'];
  readonly serviceId: string | null;
  readonly taskId: string | null;
  readonly accountId: string | null;
  readonly deadlineAt: number;
  readonly cleanups: ((ok: boolean) => Promise<void> | void)[] = [];
  readonly deferred: Deferred[] = [];
  readonly #ending: Ending;
  readonly #recorder: Recorder;

  constructor(input: ScopeInput, recorder: Recorder) {
    const { installation } = input;
    const { tenant, version } = installation;
    this.invocationId = input.invocationId;
    this.purpose = input.purpose;
    this.method = input.method;
    this.tenantId = tenant.id;
    this.installationId = installation.id;
    this.instanceId = input.instance?.id ?? null;
    this.versionId = version.id;
    this.publisher = version.publisher;
    this.moduleType = version.type;
    this.moduleName = version.name;
    this.schemaName = installation.schemaName;
    this.grants = installation.grants;
    this.settings = settingsOf(installation, input.instance);
    this.egressAllow = tenant.egressAllow;
    this.timezone = tenant.timezone;
    this.methods = version.methods;
    this.emits = version.manifest.events.emits;
    this.serviceId = input.serviceId;
    this.taskId = input.taskId;
    this.accountId = input.accountId;
    this.deadlineAt = input.deadlineAt;
    this.#ending = input.ending;
    this.#recorder = recorder;
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  onEnd(cleanup: (ok: boolean) => Promise<void> | void): void {
    this.cleanups.push(cleanup);
  }

  afterSuccess(work: Deferred): void {
    this.deferred.push(work);
  }

  record(call: RecordedCall): void {
    this.#recorder.call({
      service_id: this.serviceId,
      task_id: this.taskId,
      invocation: this.invocationId,
      installation_id: this.installationId,
      op: call.op,
      target: call.target.slice(0, 500),
      status: call.status ?? null,
      error_code: call.errorCode ?? null,
      duration_ms: Math.round(call.durationMs),
    });
  }

  used(item: string): void {
    this.#recorder.grantUse(this.installationId, item, 'used');
  }
}

export function openScope(input: ScopeInput, recorder: Recorder): OpenScope {
  const scope = new InvocationScope(input, recorder);
  const { cleanups, deferred } = scope;
  const finish = async (ok: boolean): Promise<void> => {
    const failures: unknown[] = [];
    for (const cleanup of cleanups.reverse()) {
      try {
        // Once one of them fails, the rest must not commit what belongs together with it.
        await cleanup(ok && failures.length === 0);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  };
  return { scope, finish, deferred, refusals: 0 };
}
