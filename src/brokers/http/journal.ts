/**
 * The journal of a job's step, as the http broker needs it (the steps broker implements it). A request that belongs to a step is noted before
 * it leaves and its answer is stored before the module sees it, so that a runner's death never sends it twice.
 */
import type { OpOutput } from '../../../sandbox/contract/capabilities.ts';
import type { Scope } from '../broker.ts';

export type HttpAnswer = OpOutput<'http', 'request'>;

/** Which request of which step: `number` counts the requests of one run of the step from 0, in the order the module made them. */
export interface StepRequest {
  readonly name: string;
  readonly number: number;
}

/**
 * What to do with a request. `idempotencyKey` is stable for (task, step, number), so that a service which honours
 * Idempotency-Key gives a repeated request its first answer.
 */
export type Verdict =
  | { readonly replay: HttpAnswer }
  | { readonly send: { readonly idempotencyKey: string } };

export interface StepJournal {
  /**
   * Called after every check has passed and before anything is sent. Throws HostError STEP_IN_DOUBT if this request was sent before
   * and no answer was recorded, CONFLICT if the fingerprint is not the recorded one.
   * @param fingerprint `METHOD url sha256(body)` as the module wrote them: handles, never secret values
   */
  before(scope: Scope, step: StepRequest, fingerprint: string): Promise<Verdict>;
  /** Stores the answer; the module gets it only after this has resolved. */
  answered(scope: Scope, step: StepRequest, answer: HttpAnswer): Promise<void>;
  /** Called instead of `answered` when nothing reached the other side (no address, refused connection, TLS): it may be sent again. */
  unsent(scope: Scope, step: StepRequest): Promise<void>;
}
