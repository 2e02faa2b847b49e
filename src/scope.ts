/** Closes one part. `leaveRunning`: the processes behind it go on, for the next controller to adopt. */
type Close = (leaveRunning: boolean) => unknown;

/**
 * What a start has opened, closed last opened first. A start that fails lets go of a system that ran before it, and ends
 * only what it began itself where nothing ran: traffic never stops because a controller cannot start.
 */
export class Scope {
  readonly #ranBefore: boolean;
  #closers: Close[] = [];

  constructor(ranBefore: boolean) {
    this.#ranBefore = ranBefore;
  }

  add(close: Close): void {
    this.#closers.push(close);
  }

  /** After a start that failed. Resolves with what could not be closed. */
  fail(): Promise<unknown[]> {
    return this.#closeAll(this.#ranBefore);
  }

  /** One part that cannot close does not keep the others open; rejects with the first failure afterwards. */
  async close(leaveRunning: boolean): Promise<void> {
    const failures = await this.#closeAll(leaveRunning);
    if (failures.length > 0) throw failures[0];
  }

  async #closeAll(leaveRunning: boolean): Promise<unknown[]> {
    const failures: unknown[] = [];
    const closers = this.#closers;
    this.#closers = [];
    for (const close of closers.reverse()) {
      try {
        await close(leaveRunning);
      } catch (error) {
        failures.push(error);
      }
    }
    return failures;
  }
}
