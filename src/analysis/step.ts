import type { Tick } from '../metrics/tick.ts';
import type { Arms } from './arms.ts';
import { rememberNormal, takeHistory } from './baseline.ts';
import { chooseFor, learnEdges } from './choose.ts';
import { COOLING_WARMUPS, noteCooling } from './cooling.ts';
import { learn, phiOf } from './dispersion.ts';
import { comparedHarm, pastGates, pastHarm, promotionGates, soloHarm } from './evidence.ts';
import type { JudgeSetup, Look } from './judge.ts';
import { addGroup, feed, refill, releasedMass } from './mixture.ts';
import { paired } from './pairing.ts';
import { placeboSize, placeboTest } from './placebo.ts';
import type { Plan } from './plan.ts';
import { groupCount } from './pods.ts';
import { readsPast } from './promotion.ts';
import { learnSpread, newSpread } from './spread.ts';
import { mixturesOf, newSums, type State } from './state.ts';

/** Sets up what depends on the first tick's edges. */
export function adoptEdges(s: State, setup: JudgeSetup, tick: Tick): void {
  if (s.edges !== null) return;
  const edges = tick.edges.slice();
  s.edges = edges;
  s.baseline.over = new Array<number>(edges.length).fill(0);
  s.sums = newSums(edges.length);
  s.rise = newSums(edges.length);
  s.spread = newSpread(edges.length);
  const { history } = setup;
  if (history === undefined || !sameEdges(history.edges, edges) || !(history.requests > 0)) return;
  takeHistory(s.baseline, history);
  s.spread = newSpread(edges.length, history.spread);
  chooseFor(s);
}

function sameEdges(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((edge, j) => edge === b[j]);
}

/** Time passes in the detectors: reserve mass goes in, caps grow back. */
export function passTime(s: State, plan: Plan, dtMs: number): void {
  let mass = releasedMass(s.reserve, s.ageMs, dtMs, plan.horizonMs);
  if (s.boost) mass += (s.reserve - mass) / 10;
  s.boost = false;
  s.ageMs += dtMs;
  s.reserve -= mass;
  for (const m of mixturesOf(s)) {
    feed(m, mass);
    refill(m, dtMs);
  }
}

/** One usable tick through every test. `dtMs` is the time it counts for. */
export function takeTick(
  s: State,
  plan: Plan,
  look: Look,
  arms: Arms,
  control: boolean,
  guarded: boolean,
  dtMs: number,
): void {
  growGroups(s, arms);
  const phi = phiOf(s.dispersion);
  soloHarm(s, plan, look, arms, control, guarded, phi);
  if (control) {
    const { ready, waiting } = paired(s.pairing, arms, dtMs);
    s.pairing = waiting;
    if (ready !== null) {
      comparedHarm(s, plan, ready, guarded, phi);
      if (look.unconfirmed === undefined) promotionGates(s, plan, ready, phi);
      placeboTest(s, plan, ready, phi);
    }
  } else pastHarm(s, arms, phi);
  if (readsPast(look.weightBp)) pastGates(s, plan, arms, phi);
  const { warmupMs } = plan.policy;
  const young = s.youngestMs === null || s.youngestMs <= COOLING_WARMUPS * warmupMs;
  if (warmupMs > 0 && young) noteCooling(s.cooling, arms, warmupMs, dtMs);
  if (control) learnFrom(s, arms, dtMs);
  learnEdges(s, arms, dtMs);
}

function growGroups(s: State, arms: Arms): void {
  const groups = groupCount(s.pods);
  for (const m of [s.errors, s.latency, s.absoluteErrors, ...s.absoluteLatency]) {
    while (m.without.length < groups) addGroup(m);
  }
  const placebo = placeboSize(s, arms);
  for (const m of [s.placebo.errors, s.placebo.latency]) while (m.without.length < placebo) addGroup(m);
}

/** Only now, after every test: what this tick teaches about stable is used from the next one on. */
function learnFrom(s: State, arms: Arms, dtMs: number): void {
  learn(s.dispersion, arms.stableEach, -1, dtMs);
  s.choice?.tested.forEach((edge, e) => {
    learn(s.edgeDispersion[e]!, arms.stableEach, edge, dtMs);
  });
  learnSpread(s.spread, arms.stableEach, dtMs);
  if (arms.stable.n > 0) rememberNormal(s.baseline, arms.stable, s.choice?.gates ?? [], dtMs);
}
