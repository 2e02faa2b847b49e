import { type Arm, type Arms, addArm, cloneArm, emptyArm, eventsOf, requestsOf } from './arms.ts';

/**
 * A cold start that fades: just-in-time compilers, caches and connection pools make a new version slow at first and less so
 * every second. Latency that goes on improving is held, latency that stays is harm. The last windows of the canary's
 * exceedances beside stable's tell one from the other; kept while the canary is at most `COOLING_WARMUPS` warm-ups old.
 */
export interface Cooling {
  windows: Window[];
}

interface Window {
  ms: number;
  canary: Arm;
  stable: Arm;
}

/** A canary older than so many warm-ups is not cold any more. */
export const COOLING_WARMUPS = 5;
const WINDOWS_PER_WARMUP = 8;
const MIN_WINDOW_MS = 1000;
/** The newest windows are compared with as many before them; twice as many where they hold few requests. */
const COMPARED = 3;
const FEW_REQUESTS = 600;
const KEPT = 4 * COMPARED;
/** The canary's exceedances fall when chance explains the fall less than once in 12 times (ln 12). */
const FALLS_NATS = 2.5;

export function newCooling(): Cooling {
  return { windows: [] };
}

export function cloneCooling(c: Cooling): Cooling {
  return {
    windows: c.windows.map(({ ms, canary, stable }) => ({ ms, canary: cloneArm(canary), stable: cloneArm(stable) })),
  };
}

export function noteCooling(c: Cooling, arms: Arms, warmupMs: number, dtMs: number): void {
  const edges = arms.warmCanary.over.length;
  const last = c.windows[c.windows.length - 1];
  const open = last !== undefined && last.ms < Math.max(MIN_WINDOW_MS, warmupMs / WINDOWS_PER_WARMUP);
  const window = open ? last : { ms: 0, canary: emptyArm(edges), stable: emptyArm(edges) };
  if (!open) c.windows.push(window);
  if (c.windows.length > KEPT) c.windows.shift();
  window.ms += dtMs;
  addArm(window.canary, arms.warmCanary);
  addArm(window.stable, arms.warmStable);
}

/** True while the canary's latency still falls towards stable's at one of these edges, or it is too early to tell. */
export function stillCooling(c: Cooling, edges: readonly number[]): boolean {
  const { windows } = c;
  // The running window belongs to the newest ones: it is what a look has just seen.
  const few = sumOf(windows.slice(-COMPARED)).canary.n < FEW_REQUESTS;
  const compared = few ? 2 * COMPARED : COMPARED;
  if (windows.length <= COMPARED) return true;
  const newer = sumOf(windows.slice(-compared));
  const older = sumOf(windows.slice(-2 * compared, -compared));
  return edges.some((edge) => fallNats(older, newer, edge) >= FALLS_NATS);
}

type Sum = Pick<Window, 'canary' | 'stable'>;

function sumOf(windows: readonly Window[]): Sum {
  const edges = windows[0]?.canary.over.length ?? 0;
  const sum = { canary: emptyArm(edges), stable: emptyArm(edges) };
  for (const one of windows) {
    addArm(sum.canary, one.canary);
    addArm(sum.stable, one.stable);
  }
  return sum;
}

/** Chernoff's bound for so few of the canary's exceedances in the newer windows, had they kept their ratio to stable's. */
function fallNats(older: Sum, newer: Sum, edge: number): number {
  const expected = ({ canary, stable }: Sum): number =>
    (requestsOf(canary, edge) * (eventsOf(stable, edge) + 0.5)) / (requestsOf(stable, edge) + 1);
  const expectedOld = expected(older);
  const expectedNew = expected(newer);
  const all = (older.canary.over[edge] ?? 0) + newer.canary.over[edge]!;
  if (all <= 0 || expectedOld <= 0 || expectedNew <= 0) return 0;
  const q = expectedNew / (expectedOld + expectedNew);
  const p = newer.canary.over[edge]! / all;
  if (p >= q) return 0;
  const low = p > 0 ? p * Math.log(p / q) : 0;
  return all * (low + (1 - p) * Math.log((1 - p) / (1 - q)));
}
