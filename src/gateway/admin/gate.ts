/** Lets calls through, or keeps them waiting while the process is handed over: none falls between the two processes. */
export class Gate {
  private inside = 0;
  private opened: Promise<void> | null = null;
  private open: () => void = () => {};
  private emptied: (() => void) | null = null;

  async pass<T>(call: () => Promise<T> | T): Promise<T> {
    while (this.opened !== null) await this.opened;
    this.inside++;
    try {
      return await call();
    } finally {
      if (--this.inside === 0) this.emptied?.();
    }
  }

  /** Resolves when the calls that had passed are over. */
  async close(): Promise<void> {
    this.opened ??= new Promise((resolve) => {
      this.open = resolve;
    });
    if (this.inside === 0) return;
    await new Promise<void>((resolve) => {
      this.emptied = resolve;
    });
    this.emptied = null;
  }

  reopen(): void {
    this.opened = null;
    this.open();
  }
}
