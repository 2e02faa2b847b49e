import { type Clock, sleep } from './lib/clock.ts';

const LOOK_EVERY_MS = 1_000;

/** Something that a person should know as long as it lasts: a name for the state and the sentence about it. */
export interface Condition {
  name: string;
  says: string;
  /** It is told only when it lasts this long (ms): what mends itself at once is no news. */
  afterMs: number;
}

/**
 * Says each state once when it begins, again when its sentence changes, and once when it is over. Returns the function
 * that ends it.
 */
export function tellConditions(options: {
  clock: Clock;
  say: (line: string) => void;
  conditions: () => readonly Condition[];
}): () => Promise<void> {
  const { clock, say } = options;
  const stopped = new AbortController();
  const open = new Map<string, { sinceMs: number; told: string | null }>();

  function look(): void {
    const now = clock.monoMs();
    const there = options.conditions();
    for (const { name, says, afterMs } of there) {
      const known = open.get(name) ?? { sinceMs: now, told: null };
      open.set(name, known);
      if (known.told === says || now - known.sinceMs < afterMs) continue;
      known.told = says;
      say(`${name}: ${says}`);
    }
    for (const [name, { told }] of open) {
      if (there.some((condition) => condition.name === name)) continue;
      open.delete(name);
      if (told !== null) say(`${name}: settled`);
    }
  }

  async function loop(): Promise<void> {
    while (!stopped.signal.aborted) {
      look();
      await sleep(clock, LOOK_EVERY_MS, stopped.signal).catch(() => {});
    }
  }
  const done = loop();
  return async () => {
    stopped.abort();
    await done;
  };
}
