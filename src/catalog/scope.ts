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

export function openScope(input: ScopeInput, recorder: Recorder): OpenScope {
  const { installation } = input;
  const cleanups: ((ok: boolean) => Promise<void> | void)[] = [];
  const deferred: Deferred[] = [];
  const ids = { service_id: input.serviceId, task_id: input.taskId, invocation: input.invocationId };
  const scope: Scope = {
    invocationId: input.invocationId,
    purpose: input.purpose,
    method: input.method,
    tenantId: installation.tenant.id,
    installationId: installation.id,
    instanceId: input.instance?.id ?? null,
    versionId: installation.version.id,
    publisher: installation.version.publisher,
    moduleType: installation.version.type,
    moduleName: installation.version.name,
    schemaName: installation.schemaName,
    grants: installation.grants,
    settings: settingsOf(installation, input.instance),
    egressAllow: installation.tenant.egressAllow,
    timezone: installation.tenant.timezone,
    methods: installation.version.methods,
    emits: installation.version.manifest.events.emits,
    serviceId: input.serviceId,
    taskId: input.taskId,
    accountId: input.accountId,
    deadlineAt: input.deadlineAt,
    get signal() {
      return input.ending.signal;
    },
    onEnd: (cleanup) => void cleanups.push(cleanup),
    afterSuccess: (work) => void deferred.push(work),
    record: (call: RecordedCall) =>
      recorder.call({
        ...ids,
        installation_id: installation.id,
        op: call.op,
        target: call.target.slice(0, 500),
        status: call.status ?? null,
        error_code: call.errorCode ?? null,
        duration_ms: Math.round(call.durationMs),
      }),
    used: (item) => recorder.grantUse(installation.id, item, 'used'),
  };
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
