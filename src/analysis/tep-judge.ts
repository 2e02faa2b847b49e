import { told } from './assessment.ts';
import { forgetInstance } from './harm.ts';
import type { Judge, Judgement, JudgeSetup, JudgeState, Look } from './judge.ts';
import { beginStep, lookInto } from './look.ts';
import { planOf } from './plan.ts';
import { promotionFigures } from './promotion.ts';
import { cloneState, newState, type State } from './state.ts';
import { hasControl } from './weigh.ts';
import { metricLines, reasonOf } from './words.ts';

/**
 * The judge: tick e-processes. Every test is an instance of one kernel whose expectation is at most 1 while the release
 * is harmless, so that P(false statistical rollback over the whole release) <= alpha for any number and timing of looks
 * (Ville's inequality), and promotion needs the same strength of evidence that the harm stays below the margin.
 */
export const judge: Judge = {
  start: (setup) => asJson(newState(setup, planOf(setup))),

  enterStep(setup, state, stepIndex) {
    const next = cloneState(asState(state));
    beginStep(next, planOf(setup), stepIndex);
    return asJson(next);
  },

  look(setup: JudgeSetup, state: JudgeState, look: Look): { state: JudgeState; judgement: Judgement } {
    const plan = planOf(setup);
    const next = cloneState(asState(state));
    const found = lookInto(next, setup, plan, look);
    const { passed } = found.promote;
    const promote = { passed, ...promotionFigures(next, plan, hasControl(look.weightBp), look.weightBp, passed) };
    const judgement: Judgement = {
      verdict: found.verdict,
      speed: found.speed,
      reason: reasonOf(next, plan, found, promote),
      evidence: { total: told(found.total), threshold: plan.threshold, metrics: metricLines(next, plan, found) },
      promote,
      heldMs: next.heldMs,
      instance: found.instance,
    };
    return { state: asJson(next), judgement };
  },

  instanceFate(_setup, state, instance, fate) {
    const next = cloneState(asState(state));
    if (fate === 'gone') forgetInstance(next, instance);
    else next.pods = next.pods.map((pod) => (pod.id === instance ? { ...pod, stays: true } : pod));
    return asJson(next);
  },
};

// State is plain JSON by construction; the opaque type keeps other rooms from reading it.
function asJson(state: State): JudgeState {
  return state as unknown as JudgeState;
}

function asState(state: JudgeState): State {
  return state as unknown as State;
}
