/**
 * One runner process that is started before anybody needs it, so that the first call of a group does not wait for Node to start. It knows
 * nothing of any tenant until it is taken, belongs to whoever takes it from then on, and never comes back. It has a uid of its
 * own, as every runner has.
 */
import type { RunnerEvents, RunnerProcess } from './runner-process.ts';

/** What took it away is to be served first. */
const NEXT_AFTER_MS = 500;

export class SpareRunner {
  readonly #start: (events: RunnerEvents) => RunnerProcess;
  #process: RunnerProcess | undefined;
  #next: NodeJS.Timeout | undefined;
  #closed = false;

  /** Starts the first one. */
  constructor(start: (events: RunnerEvents) => RunnerProcess) {
    this.#start = start;
    this.#prepare();
  }

  #prepare(): void {
    if (this.#closed || this.#process !== undefined) return;
    const waiting = this.#start({
      onResult: ignore,
      onCall: ignore,
      onNotify: ignore,
      onLost: ignore,
      onPressure: ignore,
      // The next one is started when somebody would have taken it: one that cannot start must not be started without end.
      onExit: () => {
        if (this.#process === waiting) this.#process = undefined;
      },
    });
    this.#process = waiting;
  }

  /** The process that waits, if there is one; it speaks to `events` from now on. */
  take(events: RunnerEvents): RunnerProcess | undefined {
    const taken = this.#process;
    this.#process = undefined;
    taken?.handOver(events);
    clearTimeout(this.#next);
    this.#next = setTimeout(() => this.#prepare(), NEXT_AFTER_MS);
    this.#next.unref();
    return taken;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#next);
    const waiting = this.#process;
    waiting?.kill('INTERRUPTED', 'The sandbox process was stopped.');
    await waiting?.exited;
  }
}

function ignore(): void {}
