import type { Arms } from './arms.ts';
import { newDispersion } from './dispersion.ts';
import { BETS_PER_EDGE, chooseEdges, type EdgeChoice } from './edges.ts';
import { type Mixture, refillRoom } from './mixture.ts';
import { newSafe } from './safe.ts';
import { latencyMixture, type State } from './state.ts';

/** Without history, edges are chosen once stable has shown this much, and again at these ages of the first step. */
const LEARN_REQUESTS = 1000;
const LEARN_MS = [30_000, 120_000, 600_000];
/** The first choice where the canary seems to hang: stable's requests so far, and requests of the canary slower than any of them. */
const HURRIED_REQUESTS = 200;
const HUNG_REQUESTS = 3;

/** Without history: the first choice rests on little, and what stable did in its first seconds may have been an incident. */
export function learnEdges(s: State, arms: Arms, dtMs: number): void {
  if (s.edges!.length === 0 || s.choices >= LEARN_MS.length || s.baseline.known) return;
  s.learnedMs += s.baseline.n > 0 ? dtMs : 0;
  const enough = s.choices === 0 && (s.baseline.n >= LEARN_REQUESTS || looksHung(s, arms));
  if (!enough && (s.learnedMs < LEARN_MS[s.choices]! || s.baseline.n <= 0)) return;
  chooseFor(s);
  s.choices++;
}

/** The canary leaves requests without an answer for longer than any of stable's took: the latency test must not wait for finer edges. */
function looksHung({ baseline, sums }: State, { unanswered }: Arms): boolean {
  if (unanswered === 0 || baseline.n < HURRIED_REQUESTS) return false;
  return sums.canary.over.some((slow, edge) => slow >= HUNG_REQUESTS && baseline.over[edge] === 0);
}

/** Chooses edges from what stable has shown so far. Evidence moves along; proof of safety starts afresh where a gate moved. */
export function chooseFor(s: State): void {
  const { edges } = s;
  // Null before the first tick: a person may promote before anything was counted.
  if (edges === null || edges.length === 0 || s.baseline.n <= 0) return;
  const before = s.choice;
  const choice = chooseEdges(edges, s.baseline.n, s.baseline.over);
  s.choice = choice;
  const tested = before?.tested ?? null;
  const gates = before?.gates ?? null;
  s.latency = movedTo(s, s.latency, tested, choice.tested);
  s.placebo.latency = movedTo(s, s.placebo.latency, gates, choice.gates, s.placebo.errors.without.length);
  const dispersion = s.edgeDispersion;
  s.edgeDispersion = choice.tested.map((edge) => dispersion[tested?.indexOf(edge) ?? -1] ?? newDispersion());
  const kept = (all: number[][]): number[][] =>
    choice.gates.map((edge) => all[gates?.indexOf(edge) ?? -1] ?? newSafe().errors);
  s.safe.latency = kept(s.safe.latency);
  s.safe.past.latency = kept(s.safe.past.latency);
}

/**
 * The detector on other edges. Edges that stay keep their mass; the mass of those that go is dealt evenly to those that
 * come, so that the mean, and with it the bound, stays.
 */
function movedTo(
  s: State,
  m: Mixture,
  before: EdgeChoice['tested'] | null,
  after: EdgeChoice['tested'],
  groups = s.errors.without.length,
): Mixture {
  if (before === null || m.s.length === 0) return latencyMixture(after.length, 1 - s.reserve, groups);
  if (before.length === after.length && before.every((edge, i) => edge === after[i])) return m;
  const move = (masses: readonly number[]): number[] => {
    const kept = after.map((edge) => before.indexOf(edge));
    const gone = before.filter((edge) => !after.includes(edge)).map((edge) => before.indexOf(edge));
    const come = kept.filter((at) => at < 0).length;
    const out: number[] = [];
    for (let bet = 0; bet < BETS_PER_EDGE; bet++) {
      const sum = (at: number[]): number => at.reduce((total, e) => total + masses[e * BETS_PER_EDGE + bet]!, 0);
      const all = (sum(gone) + sum(kept.filter((at) => at >= 0))) / before.length;
      const keptMass = sum(kept.filter((at) => at >= 0));
      // The mean over edges is what must not rise: kept edges weigh differently when the number of edges changes.
      const share = after.length * all;
      const scale = keptMass > share ? share / keptMass : 1;
      const rest = come > 0 ? (share - keptMass * scale) / come : 0;
      kept.forEach((at, e) => {
        out[e * BETS_PER_EDGE + bet] = at >= 0 ? masses[at * BETS_PER_EDGE + bet]! * scale : rest;
      });
    }
    return out;
  };
  return {
    s: move(m.s),
    without: m.without.map(move),
    room: m.without.map(() => refillRoom(after.length * BETS_PER_EDGE)),
  };
}
