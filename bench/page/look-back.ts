import { setImmediate } from 'node:timers/promises';
import { judge } from '../../src/analysis/tep-judge.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { silentLog } from '../../src/lib/log.ts';
import { seededRandom } from '../../src/lib/seeded-random.ts';
import { FoldCache } from '../../src/release/fold-cache.ts';
import { beginning, foldOn } from '../../src/release/history.ts';
import { createReleaseStore } from '../../src/release/store.ts';

const ASKED = 20;
/** Folding from the first record takes its time; so few places are compared. */
const COMPARED = 2;
const turn = (): Promise<unknown> => setImmediate();

export interface LookBack {
  startMs: number;
  medianMs: number;
  worstMs: number;
  /** Folding from the first record ÷ from the nearest kept fold, at the same places. */
  timesFaster: number;
}

/** Looks back to places all over the ledger, as a controller does that has just started. */
export async function measureLookBack(ledger: Ledger): Promise<LookBack> {
  const folds = new FoldCache({ ledger, judge, turn });
  const startMs = await timed(() =>
    createReleaseStore({
      ...{ ledger, judge, nowMs: () => Date.now(), log: silentLog, onFatal: () => {} },
      onReplayed: (past) => folds.offer(past),
    }).load(),
  );
  const random = seededRandom(7);
  const places = Array.from({ length: ASKED }, () => Math.floor(random() * ledger.head().size));
  const times: number[] = [];
  for (const seq of places) times.push(await timed(() => folds.before(seq)));
  let whole = 0;
  let kept = 0;
  for (const [i, seq] of places.slice(0, COMPARED).entries()) {
    whole += await timed(() => foldOn(beginning(), ledger, judge, { beforeSeq: seq, release: null, turn }));
    kept += times[i] ?? 0;
  }
  times.sort((a, b) => a - b);
  return { startMs, medianMs: times[ASKED / 2] ?? 0, worstMs: times.at(-1) ?? 0, timesFaster: whole / kept };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
