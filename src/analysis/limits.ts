import type { Arms } from './arms.ts';
import type { Why } from './assessment.ts';
import { limitEdge } from './edges.ts';
import { latencyRatios } from './evidence.ts';
import { absoluteName, type Plan, stepOf } from './plan.ts';
import { activePods, EVEN_NATS, mayBeAtFault, STANDS_OUT_NATS, unevenNats, worstOf } from './pods.ts';
import { toleratedFactor } from './spread.ts';
import type { State } from './state.ts';
import { type Chain, type SustainedLimit, stepSustained } from './sustained.ts';
import { worseNats } from './two-sample.ts';

/** A broken limit is the canary's own when chance explains its distance from stable less than once in 33 times (ln 33). */
const CLEARLY_WORSE_NATS = 3.5;

/** A limit broken for the declared time, and by whom: the version, one instance of it, stable as well, or not clear yet. */
export interface Broken {
  blame: 'canary' | 'instance' | 'stable' | 'unclear';
  instance: string | null;
  why: Extract<Why, { kind: 'sustained' }>;
}

/** One look of the sustained rule. */
export function watchLimits(
  s: State,
  plan: Plan,
  arms: Arms,
  dtMs: number,
  control: boolean,
  guarded: boolean,
): Broken | null {
  const limits = sustainedLimits(s, plan);
  stepSustained(s.sustained, limits, plan.policy.sustainedMs, arms, dtMs);
  let held: Broken | null = null;
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i];
    const chain = s.sustained.chains[i]!;
    if (!limit || chain.ms < plan.policy.sustainedMs) continue;
    const found = blameOf(s, plan, limit, chain, arms, control, guarded, i);
    if (found.blame === 'canary') return found;
    if (held === null || found.blame === 'instance') held = found;
  }
  return held;
}

function sustainedLimits(s: State, plan: Plan): (SustainedLimit | null)[] {
  const { limits } = stepOf(plan, s.step);
  const errors = limits.errorShare === null ? null : { share: limits.errorShare, edge: -1, underMs: null };
  const latency = plan.quantiles.map((quantile) => {
    const limit = limits.latency.find((candidate) => candidate.quantile === quantile);
    const edge = limit === undefined ? null : limitEdge(s.edges!, limit.underMs);
    return edge === null ? null : { share: 1 - quantile, edge: edge.index, underMs: limit!.underMs };
  });
  return [errors, ...latency];
}

function blameOf(
  s: State,
  plan: Plan,
  limit: SustainedLimit,
  chain: Chain,
  arms: Arms,
  control: boolean,
  guarded: boolean,
  index: number,
): Broken {
  const compared = control && plan.policy.sharedIncident === 'hold';
  const stables = arms.stableEach.length;
  const tolerance = (canaries: number): { ratio: number; plus: number } => {
    if (limit.edge >= 0) return { ratio: latencyRatios(s, plan, [limit.edge], canaries, stables)[0]!, plus: 0 };
    const { ratio, plusShare } = plan.policy.compare.errors;
    return { ratio: Math.max(ratio, toleratedFactor(s.spread, -1, canaries, stables)), plus: plusShare };
  };
  const canaries = activePods(s.pods);
  const worse = (nc: number, xc: number, instances: number): boolean => {
    if (nc <= 0 || xc <= limit.share * nc) return false;
    if (!compared || chain.ns <= 0) return true;
    const { ratio, plus } = tolerance(instances);
    return worseNats({ nc, xc, ns: chain.ns, xs: chain.xs }, ratio, plus) >= CLEARLY_WORSE_NATS;
  };
  const why = (instance: string | null): Broken['why'] => ({
    kind: 'sustained',
    limit: index === 0 ? 'absolute-errors' : absoluteName(plan.quantiles[index - 1]!),
    underMs: limit.underMs,
    forMs: chain.ms,
    requests: chain.nc,
    events: chain.xc,
    share: limit.share,
    instance,
  });
  if (!worse(chain.nc, chain.xc, canaries)) return { blame: 'stable', instance: null, why: why(null) };
  const worst = guarded ? worstGroup(chain) : -1;
  if (worst < 0 || !mayBeAtFault(s.pods, worst)) return { blame: 'canary', instance: null, why: why(null) };
  const n = chain.nc - chain.groups[2 * worst]!;
  const x = chain.xc - chain.groups[2 * worst + 1]!;
  // The others need not prove it alone where the events lie evenly: then no instance is to blame.
  const uneven = unevenNats(chain.xc - x, chain.xc, chain.nc - n, chain.nc);
  if (worse(n, x, Math.max(1, canaries - 1)) || (uneven < EVEN_NATS && x > limit.share * n)) {
    return { blame: 'canary', instance: null, why: why(null) };
  }
  if (uneven < STANDS_OUT_NATS) return { blame: 'unclear', instance: null, why: why(null) };
  const instance = worstOf(s.pods, worst, limit.edge >= 0);
  return { blame: 'instance', instance, why: why(instance) };
}

function worstGroup(chain: Chain): number {
  let worst = -1;
  let most = -1;
  for (let g = 0; 2 * g + 1 < chain.groups.length; g++) {
    if (chain.groups[2 * g + 1]! > most) {
      most = chain.groups[2 * g + 1]!;
      worst = g;
    }
  }
  return worst;
}
