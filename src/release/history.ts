import type { Judge, Judgement, Look } from '../analysis/judge.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { own } from '../lib/own.ts';
import { evolve } from './evolve.ts';
import type { Past } from './past.ts';
import { emptyFleet, type ReleaseState } from './state.ts';
import { contextOf, eventOf, ROOM_TYPES } from './store.ts';

/** Looks folded before the event loop gets its turn: what decides about live traffic must not wait for a reader. */
const LOOKS_PER_TURN = 50;

/** One look of the past, and what the judge makes of it when it sees it again. */
export interface PastLook {
  seq: number;
  /** Wall clock (ms) at the end of the look, reckoned back from its record's time. */
  atMs: number;
  look: Look;
  judgement: Judgement;
}

export interface PastOptions {
  /** Records before this seq are folded. */
  beforeSeq: number;
  /** Fold looks of this release only and tell of them; others' evidence stays unknown. Null folds all. */
  release: string | null;
  onLook?: (look: PastLook, release: ReleaseState) => void;
  /** Lets other work of the process go first. */
  turn: () => Promise<unknown>;
}

export function beginning(): Past {
  return { nextSeq: 0, fleet: emptyFleet() };
}

/** Folds the ledger on from `past`. The judge is run again over the recorded looks: nothing it said is taken on trust. */
export async function foldOn(past: Past, ledger: Ledger, judge: Judge, options: PastOptions): Promise<Past> {
  let { fleet, nextSeq } = past;
  let sinceTurn = 0;
  for await (const record of ledger.read(nextSeq)) {
    if (record.seq >= options.beforeSeq) break;
    nextSeq = record.seq + 1;
    if (!ROOM_TYPES.test(record.type)) continue;
    const event = eventOf(record);
    const context = contextOf(record);
    if (event.type !== 'release.observed') {
      fleet = evolve(fleet, event, context, judge);
      continue;
    }
    const id = event.data.release;
    if (options.release !== null && options.release !== id) continue;
    let atMs = context.atMs - event.data.looks.reduce((sum, look) => sum + look.dtMs, 0);
    for (const look of event.data.looks) {
      fleet = evolve(fleet, { type: event.type, data: { release: id, looks: [look] } }, context, judge);
      atMs += look.dtMs;
      const release = own(fleet.releases, id);
      if (release?.judgement) options.onLook?.({ seq: record.seq, atMs, look, judgement: release.judgement }, release);
      sinceTurn = (sinceTurn + 1) % LOOKS_PER_TURN;
      if (sinceTurn === 0) await options.turn();
    }
  }
  return { nextSeq, fleet };
}
