import { type Arm, type Arms, addArm, emptyArm } from './arms.ts';
import { guessedShare } from './baseline.ts';
import { edgePhi, latencyRatios } from './evidence.ts';
import { RATE_PSI } from './kernel.ts';
import { stepLatency } from './latency-tests.ts';
import type { Mixture } from './mixture.ts';
import type { Plan } from './plan.ts';
import { activePods } from './pods.ts';
import { stepRate } from './rate-tests.ts';
import { toleratedFactor } from './spread.ts';
import type { State } from './state.ts';

export function placeboSize(s: State, arms: Arms): number {
  return Math.min(8, Math.max(1, activePods(s.pods)), Math.floor(arms.stableEach.length / 2));
}

/** The same test on stable's own instances, as many as the canary has against the rest: it must stay silent. */
export function placeboTest(s: State, plan: Plan, arms: Arms, phi: number): void {
  const size = placeboSize(s, arms);
  if (size < 1) return;
  const chosen = arms.stableEach.slice(0, size);
  const edges = arms.stable.over.length;
  const group = emptyArm(edges);
  const rest = emptyArm(edges);
  arms.stableEach.forEach((arm, i) => {
    addArm(i < size ? group : rest, arm);
  });
  const others = arms.stableEach.length - size;
  const { ratio, plusShare } = plan.policy.compare.errors;
  const test = {
    ratio: Math.max(ratio, toleratedFactor(s.spread, -1, size, others)),
    plus: plusShare,
    psi: RATE_PSI,
    guess: guessedShare(s.baseline),
    phi,
  };
  stepRate(s.placebo.errors, test, group.n, group.x, rest.n, rest.x, padded(chosen, s.placebo.errors, edges));
  if (s.choice === null) return;
  const choice = { tested: s.choice.gates, gates: [], shift: s.choice.shift };
  const groups = padded(chosen, s.placebo.latency, edges);
  const dispersion = choice.tested.map((edge) => ({ a: edgePhi(s, edge), b: 1 }));
  stepLatency(
    s.placebo.latency,
    choice,
    latencyRatios(s, plan, choice.tested, size, others),
    group,
    rest,
    groups,
    dispersion,
  );
}

/** Groups that are gone take part with nothing. */
function padded(chosen: readonly Arm[], m: Mixture, edges: number): Arm[] {
  const out = chosen.slice(0, m.without.length);
  while (out.length < m.without.length) out.push(emptyArm(edges));
  return out;
}
