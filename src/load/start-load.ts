import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { DavyError } from '../lib/error.ts';
import { loadErrors } from './errors.ts';
import { checkPlan, type LoadPlan, planDefaults } from './plan.ts';
import type { LoadLive, LoadResult } from './result.ts';
import { mergeResults, scaleLive, splitPlan } from './split.ts';

export interface Load {
  /** Sends nothing more; resolves with the whole run's figures once every request has an outcome. */
  stop(): Promise<LoadResult>;
  /** The latest figures, a quarter of a second apart; null before the first. */
  live(): LoadLive | null;
  /** Resolves when the plan is done or was stopped; rejects with `load/generator-died`. */
  done: Promise<LoadResult>;
}

export interface SteadyLoad {
  url: string;
  ratePerSecond: number;
  headers?: Record<string, string>;
  arrivals?: 'poisson' | 'uniform';
  seed?: number;
  timeoutMs?: number;
  maxConnections?: number;
  /** Until `stop` unless given. */
  durationMs?: number;
  warmupMs?: number;
}

const oneDayMs = 24 * 3_600_000;

/** A steady open-model load on one URL. */
export function steadyPlan(load: SteadyLoad): LoadPlan {
  const { url, headers = {}, ratePerSecond, arrivals = 'poisson', durationMs = oneDayMs, ...rest } = load;
  const stage = { fromPerSecond: ratePerSecond, toPerSecond: ratePerSecond, durationMs };
  return {
    ...planDefaults,
    ...rest,
    targets: [{ name: 'all', url, method: 'GET', headers, body: null, weight: 1, check: null }],
    model: { kind: 'open', arrivals, stages: [stage] },
  };
}

/**
 * Runs a plan in a generator process of its own, or its parts in several when one core is not enough. They end when this
 * process ends. `onLive` hears every figure; of several processes those of the first, times their number.
 */
export function startLoad(plan: LoadPlan, onLive: (live: LoadLive) => void = () => {}, processes = 1): Load {
  const [first, ...others] = splitPlan(checkPlan(plan), processes);
  const scaled = (live: LoadLive): LoadLive => scaleLive(live, processes);
  const loads = [startOne(first!, (live) => onLive(scaled(live))), ...others.map((part) => startOne(part, () => {}))];
  const done = Promise.all(loads.map((load) => load.done)).then(mergeResults);
  // Whoever asks later still gets the rejection; an unasked one must not end the process.
  done.catch(() => {});
  return {
    done,
    live() {
      const live = loads[0]!.live();
      return live && scaled(live);
    },
    stop() {
      for (const load of loads) void load.stop().catch(() => {});
      return done;
    },
  };
}

/**
 * Young collections take 0.2 to 0.4 ms on the thread itself; helper threads that share its core would make it wait for each of them to
 * be scheduled. At 85,000/s there are 4 a second with 8 MB and 15 with what V8 chooses by itself; 32 MB cost a tenth more time per
 * request, for memory that is in no cache.
 */
const nodeOptions = ['--single-threaded-gc', '--min-semi-space-size=8', '--max-semi-space-size=8'];

function startOne(plan: LoadPlan, onLive: (live: LoadLive) => void): Load {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const child = spawn(process.execPath, [...nodeOptions, main], { stdio: ['pipe', 'pipe', 'inherit'] });
  const { promise: done, resolve, reject } = Promise.withResolvers<LoadResult>();
  // Whoever asks later still gets the rejection; an unasked one must not end the process.
  done.catch(() => {});
  let latest: LoadLive | null = null;
  let reason = 'it gave no reason';
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as { live?: LoadLive; result?: LoadResult; error?: string };
    if (message.live) {
      latest = message.live;
      onLive(latest);
    }
    if (message.result) resolve(message.result);
    if (message.error !== undefined) reason = message.error;
  });
  const died = (how: string): void =>
    reject(new DavyError(loadErrors['generator-died'], `The load generator ended (${how}): ${reason}.`));
  child.once('error', (error) => died(error.message));
  child.once('close', (code, signal) => died(signal ?? `exit code ${code}`));
  child.stdin.on('error', () => {});
  child.stdin.write(`${JSON.stringify(plan)}\n`);
  return {
    done,
    live: () => latest,
    stop() {
      child.stdin.write('stop\n');
      return done;
    },
  };
}
