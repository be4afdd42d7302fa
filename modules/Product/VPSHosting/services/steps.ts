/**
 * Changes at the provider as steps that happen exactly once, even if an answer is lost or the process dies in between. A lost answer is
 * cleared up within the same job: the step is begun again, and its `check` looks what became of the first request.
 */
import type { StepInfo, StepOptions } from 'bulkhead';
import { isUnanswered } from './CloudAPIClient.ts';
import type { CloudAPIClient, Failure, NewServer, PowerAction, Result } from './CloudAPIClient.ts';
import type { Droplet } from './answers.ts';

type Step = <T>(name: string, fn: (info: StepInfo) => Promise<T>, options?: StepOptions<T>) => Promise<T>;

type Work<T extends object> = (info: StepInfo) => Promise<Result<T>>;
type Check<T extends object> = () => Promise<Result<T> | undefined>;

/** All waiting of a job together stays below its timeout of ten minutes. */
const POLLS = 80;
const POLL_MS = 2_000;

/** Ends a step that the provider refused: a step that returns is finished for ever, and this one may be tried again. */
class Refused extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.error);
    this.failure = failure;
  }
}

export class ServerSteps {
  readonly #step: Step;
  readonly #api: CloudAPIClient;

  constructor(step: Step, api: CloudAPIClient) {
    this.#step = step;
    this.#api = api;
  }

  /** Creates the server of a tag, or finds the one that an earlier task created. */
  async create(data: NewServer, tag: string): Promise<Result<{ readonly data: Droplet }>> {
    const find = async (): Promise<Result<{ readonly data: Droplet }> | undefined> => {
      const found = await this.#api.findServer(tag);
      return found === undefined ? undefined : { success: true, data: found };
    };
    return this.#once(
      'create-droplet',
      async ({ idempotencyKey }) => (await find()) ?? this.#api.createServer(data, idempotencyKey),
      find,
    );
  }

  /** Does a power action and waits until the provider has completed it. Doing one twice changes nothing. */
  async power(serverId: string, action: PowerAction): Promise<Result> {
    const started = await this.#once(action, async () => this.#api.powerAction(serverId, action));
    return started.success ? this.#completed(started.action_id) : started;
  }

  /** Resizes a server that is switched off. */
  async resize(serverId: string, size: string): Promise<Result> {
    const started = await this.#once(
      'resize',
      async () => this.#api.resizeServer(serverId, size),
      async () => {
        const now = await this.#api.getServerStatus(serverId);
        return now.success && now.size === size ? { success: true as const, action_id: '' } : undefined;
      },
    );
    return started.success && started.action_id !== '' ? this.#completed(started.action_id) : started;
  }

  /** The size the server has before anything is changed; kept, so that a retry does not mistake its own work for it. */
  async sizeBefore(serverId: string): Promise<Result<{ readonly size: string }>> {
    return this.#once('size-before', async () => this.#api.getServerStatus(serverId));
  }

  /** Deletes a server; one that is gone is deleted. */
  async remove(serverId: string): Promise<Result> {
    return this.#once('delete-droplet', async () => this.#api.deleteServer(serverId));
  }

  /** Without a check the step simply runs again. A second lost answer in a row is for the next try of the task. */
  async #once<T extends object>(
    name: string,
    work: Work<T>,
    check: Check<T> = async () => undefined,
  ): Promise<Result<T>> {
    try {
      return await this.#attempt(name, work, check);
    } catch (error) {
      if (!isUnanswered(error)) throw error;
      return this.#attempt(name, work, check);
    }
  }

  async #attempt<T extends object>(name: string, work: Work<T>, check: Check<T>): Promise<Result<T>> {
    const accepted = async (info: StepInfo): Promise<Result<T>> => {
      const result = await work(info);
      if (!result.success) throw new Refused(result);
      return result;
    };
    try {
      return await this.#step(name, accepted, { check });
    } catch (error) {
      if (error instanceof Refused) return error.failure;
      throw error;
    }
  }

  async #completed(actionId: string): Promise<Result> {
    for (let poll = 0; poll < POLLS; poll++) {
      const action = await this.#api.getAction(actionId);
      if (action.success && action.status === 'completed') return { success: true };
      if (action.success && action.status !== 'in-progress')
        return {
          success: false,
          error: `API Error: the action ended as ${action.status}`,
          missing: false,
          passing: false,
        };
      await new Promise<void>((resolve) => void setTimeout(resolve, POLL_MS));
    }
    return {
      success: false,
      error: 'API Error: the action did not end in time',
      missing: false,
      passing: false,
    };
  }
}
