import type { Arms } from './arms.ts';
import type { Why } from './assessment.ts';
import { limitEdge } from './edges.ts';
import { poissonNats } from './instant.ts';
import { absoluteName, type Plan, stepOf } from './plan.ts';
import type { State } from './state.ts';
import { type Chain, type SustainedLimit, stepSustained } from './sustained.ts';

/** A broken limit is the canary's own when chance explains its distance from stable less than once in 150 times (ln 150). */
const CLEARLY_WORSE_NATS = 5;

/** A limit broken for the declared time; `shared`: by stable as well, so that the canary is not to blame. */
export interface Broken {
  shared: boolean;
  why: Extract<Why, { kind: 'sustained' }>;
}

/** One look of the sustained rule. */
export function watchLimits(s: State, plan: Plan, arms: Arms, dtMs: number, control: boolean): Broken | null {
  const limits = sustainedLimits(s, plan);
  stepSustained(s.sustained, limits, plan.policy.sustainedMs, arms.canary, arms.stable, dtMs);
  return brokenLimit(s, plan, limits, control);
}

function sustainedLimits(s: State, plan: Plan): (SustainedLimit | null)[] {
  const { limits } = stepOf(plan, s.step);
  const errors = limits.errorShare === null ? null : { share: limits.errorShare, edge: -1 };
  const latency = plan.quantiles.map((quantile) => {
    const limit = limits.latency.find((candidate) => candidate.quantile === quantile);
    const edge = limit === undefined ? null : limitEdge(s.edges!, limit.underMs);
    return edge === null ? null : { share: 1 - quantile, edge: edge.index };
  });
  return [errors, ...latency];
}

function brokenLimit(
  s: State,
  plan: Plan,
  limits: readonly (SustainedLimit | null)[],
  control: boolean,
): Broken | null {
  const { compare, sustainedMs, sharedIncident } = plan.policy;
  let shared: Broken | null = null;
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i];
    const chain = s.sustained.chains[i]!;
    if (!limit || chain.ms < sustainedMs) continue;
    const { ratio, plus } =
      i === 0
        ? { ratio: compare.errors.ratio, plus: compare.errors.plusShare }
        : { ratio: compare.latency.ratio, plus: 0 };
    const found: Broken = {
      shared: control && sharedIncident === 'hold' && asStable(chain, ratio, plus),
      why: {
        kind: 'sustained',
        limit: i === 0 ? 'absolute-errors' : absoluteName(plan.quantiles[i - 1]!),
        forMs: chain.ms,
        requests: chain.nc,
        events: chain.xc,
        share: limit.share,
      },
    };
    if (!found.shared) return found;
    shared = found;
  }
  return shared;
}

/** The limit is broken, but the canary is not clearly worse than stable was in the same time. */
function asStable(chain: Chain, ratio: number, plus: number): boolean {
  if (chain.ns <= 0) return false;
  return poissonNats(chain.xc, chain.nc * ((ratio * chain.xs) / chain.ns + plus)) < CLEARLY_WORSE_NATS;
}
