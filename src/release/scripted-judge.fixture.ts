import type { Judge, Judgement, Look } from '../analysis/judge.ts';

/** A judge that says what the look's `problem` field spells, so that decision tables read like sentences. */
export const scriptedJudge: Judge = {
  start: () => ({ looks: 0 }),
  enterStep: (_setup, state) => ({ ...state }),
  instanceFate: (_setup, state) => ({ ...state }),
  look: (_setup, state, look) => ({ state: { looks: Number(state.looks) + 1 }, judgement: scripted(look) }),
};

export function saying(text: string, stepIndex = 0): Look {
  return { dtMs: 1000, tick: null, problem: text, stepIndex, weightBp: 1000 };
}

function scripted(look: Look): Judgement {
  const [verdict, detail] = (look.problem ?? 'continue').split(':');
  return {
    verdict: verdict as Judgement['verdict'],
    speed: verdict === 'rollback' ? ((detail ?? 'statistical') as 'statistical') : null,
    reason: `scripted ${look.problem}`,
    evidence: { total: 0, threshold: 100, metrics: [] },
    promote: { passed: verdict === 'advance', harmBoundShare: null, needRequests: null, needMs: null },
    heldMs: 0,
    instance: verdict === 'pod-fault' ? (detail ?? null) : null,
  };
}
