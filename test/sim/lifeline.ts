import type { Clock } from '../../src/lib/clock.ts';

/** One incarnation of the controller: while it is alive its calls work; a dead one's never return, a frozen one's wait. */
export interface Lifeline {
  alive(): boolean;
  /** kill -9: nothing of it runs any more. */
  kill(): void;
  /** SIGSTOP: nothing runs until `thaw`; then everything that waited goes on, as a zombie would. */
  freeze(): void;
  thaw(): void;
  clock: Clock;
  /**
   * Wraps a port so that every call is a point where the process may die. `at` is told before and after each call and
   * kills by calling `kill`; a call of a dead process may still have taken effect, as in reality.
   */
  wrap<T extends object>(name: string, port: T, at: (point: string) => void): T;
}

export function createLifeline(clock: Clock): Lifeline {
  let dead = false;
  let frozen: (() => void)[] | null = null;

  /** Resolves at once while alive, after thawing when frozen, never when dead. */
  function pass(): Promise<void> {
    if (dead) return new Promise(() => {});
    if (frozen) return new Promise((resolve) => frozen?.push(resolve));
    return Promise.resolve();
  }

  return {
    alive: () => !dead && !frozen,
    kill() {
      dead = true;
    },
    freeze() {
      frozen ??= [];
    },
    thaw() {
      const waiting = frozen ?? [];
      frozen = null;
      if (!dead) for (const resolve of waiting) resolve();
    },
    clock: {
      nowMs: () => clock.nowMs(),
      monoMs: () => clock.monoMs(),
      after: (delayMs, fn) =>
        clock.after(delayMs, () => {
          if (dead) return;
          if (frozen) frozen.push(fn);
          else fn();
        }),
    },
    wrap(name, port, at) {
      return new Proxy(port, {
        get(target, key, receiver) {
          const value = Reflect.get(target, key, receiver) as unknown;
          if (typeof value !== 'function' || SYNCHRONOUS.has(`${name}.${String(key)}`)) return value;
          return async (...args: unknown[]) => {
            at(`${name}.${String(key)}:before`);
            await pass();
            const outcome = await settle(() => (value as (...args: unknown[]) => unknown).apply(target, args));
            at(`${name}.${String(key)}:after`);
            await pass();
            if ('error' in outcome) throw outcome.error;
            return outcome.value;
          };
        },
      });
    },
  };
}

const SYNCHRONOUS = new Set([
  'ledger.head',
  'ledger.read',
  'ledger.subscribe',
  'workloads.list',
  'workloads.subscribe',
]);

async function settle(work: () => unknown): Promise<{ value: unknown } | { error: unknown }> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error };
  }
}
