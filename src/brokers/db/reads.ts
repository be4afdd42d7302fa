/**
 * Plain SELECTs that an invocation asks for at once, outside of transactions. Each way to the server and back wakes two processes, which
 * costs more than a small SELECT: so those that come together share a connection and are sent with one write. PostgreSQL answers them in
 * order, each for itself. As many connections as the installation may have are used first, so that a slow one holds up few others.
 */
import { LIMITS } from '../../../sandbox/contract/limits.ts';
import { type Answer, NotAnswered, type RunOptions } from '../../database/modules/connection.ts';
import { toHostError } from './errors.ts';
import type { Held } from './held.ts';
import { readAnswer, type Statement } from './statement.ts';

export interface ReadsOptions {
  /** @throws HostError */
  readonly acquire: () => Promise<Held>;
  /** Of a statement whose turn comes now. */
  readonly bounds: () => RunOptions;
  /** One that was not answered, by itself. @throws HostError */
  readonly again: (statement: Statement) => Promise<Answer>;
}

interface Waiting {
  readonly statement: Statement;
  readonly resolve: (answer: Answer | Promise<Answer>) => void;
  readonly reject: (error: unknown) => void;
}

/** Sent together at most; then other invocations have their turn with the connection. */
const TOGETHER_MOST = 8;

export class Reads {
  readonly #options: ReadsOptions;
  #waiting: Waiting[] = [];

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  /** @throws HostError */
  run(statement: Statement): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#waiting.push({ statement, resolve, reject });
    // When all calls of the same message have been read: a tick runs after every microtask that is ready.
    if (this.#waiting.length === 1) queueMicrotask(() => process.nextTick(() => this.#start()));
    return promise;
  }

  #start(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const connections = LIMITS.dbConnectionsPerInstallation;
    const ways = Math.max(Math.min(connections, waiting.length), Math.ceil(waiting.length / TOGETHER_MOST));
    for (let way = 0; way < ways; way++)
      void this.#together(waiting.filter((_, index) => index % ways === way));
  }

  /** Never rejects. */
  async #together(waiting: readonly Waiting[]): Promise<void> {
    const { acquire, bounds } = this.#options;
    let held: Held | undefined;
    try {
      held = await acquire();
      const answers = held.connection.runEach(
        waiting.map(({ statement }) => statement),
        bounds,
      );
      await Promise.all(waiting.map((one, index) => this.#settle(one, answers[index])));
    } catch (error) {
      for (const { statement, reject } of waiting) reject(toHostError(error, statement.verdict));
    } finally {
      held?.release();
    }
  }

  /** Never rejects. */
  async #settle(
    { statement, resolve, reject }: Waiting,
    answering: Promise<Answer> | undefined,
  ): Promise<void> {
    try {
      if (answering === undefined) throw new NotAnswered();
      resolve(await readAnswer(answering, statement.verdict));
    } catch (error) {
      if (error instanceof NotAnswered) resolve(this.#options.again(statement));
      else reject(error);
    }
  }
}
