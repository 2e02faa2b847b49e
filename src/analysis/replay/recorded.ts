import { own } from '../../lib/own.ts';
import type { Judge, Judgement, JudgeSetup, Look } from '../judge.ts';

/** What a ledger holds of a release, in its order. */
export type Recorded =
  | { kind: 'look'; look: Look }
  | { kind: 'step'; step: number; judgement: Judgement | null }
  | { kind: 'decision'; what: string; judgement: Judgement | null };

/** A decision of the record next to what the judge says now on the same looks. */
export interface Compared {
  what: string;
  at: number | null;
  recorded: { verdict: string; total: number };
  replayed: { verdict: string; total: number };
  same: boolean;
}

export interface RecordedReplay {
  judgement: Judgement | null;
  at: number | null;
  looks: number;
  canaryRequests: number;
  failedRequests: number;
  compared: Compared[];
}

/** Evidence must come out alike to this relative difference. */
const TOLERANCE = 1e-9;
/** The ledger holds no greater number (I-JSON, RFC 7493 section 2.2). */
const LARGEST = Number.MAX_SAFE_INTEGER;

/** Judges a recorded release again and holds every recorded decision against the result. */
export function replayRecorded(judge: Judge, setup: JudgeSetup, records: Iterable<Recorded>): RecordedReplay {
  let state = judge.start(setup);
  const out: RecordedReplay = {
    judgement: null,
    at: null,
    looks: 0,
    canaryRequests: 0,
    failedRequests: 0,
    compared: [],
  };
  for (const record of records) {
    if (record.kind === 'look') {
      const next = judge.look(setup, state, record.look);
      state = next.state;
      out.judgement = next.judgement;
      out.at = record.look.tick?.t ?? out.at;
      out.looks++;
      for (const row of own(record.look.tick?.versions, setup.canary) ?? []) {
        out.canaryRequests += row.requests;
        out.failedRequests += row.errors;
      }
      continue;
    }
    const what = record.kind === 'step' ? `step ${record.step + 1}` : record.what;
    if (record.judgement !== null && out.judgement !== null) {
      out.compared.push(compare(what, out.at, record.judgement, out.judgement));
    }
    if (record.kind === 'step') state = judge.enterStep(setup, state, record.step);
  }
  return out;
}

function compare(what: string, at: number | null, before: Judgement, now: Judgement): Compared {
  const recorded = { verdict: before.verdict, total: before.evidence.total };
  const replayed = { verdict: now.verdict, total: Math.min(LARGEST, now.evidence.total) };
  const metrics = before.evidence.metrics.every((metric, i) => {
    const other = now.evidence.metrics[i];
    return other?.name === metric.name && close(metric.evidence, Math.min(LARGEST, other.evidence));
  });
  const same = recorded.verdict === replayed.verdict && close(recorded.total, replayed.total) && metrics;
  return { what, at, recorded, replayed, same };
}

function close(a: number, b: number): boolean {
  return Math.abs(a - b) <= TOLERANCE * Math.max(1, Math.abs(a), Math.abs(b));
}
