/** Work that must not overlap, in order of arrival: the statements of one transaction. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all before it has ended, however it ended. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const run = (async () => {
      await before.catch(() => undefined);
      return work();
    })();
    this.#last = run;
    run.catch(() => undefined);
    return run;
  }
}
