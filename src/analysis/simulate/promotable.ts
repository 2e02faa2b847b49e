import { own } from '../../lib/own.ts';
import { formatCount, formatDurationMs, formatRatePerSecond } from '../../lib/units.ts';
import type { PolicySpec, ServiceSpec, Spec } from '../../spec/model.ts';
import { ordinaryTraffic } from './ordinary-traffic.ts';
import { coarseLookMs, simulateRelease } from './release.ts';
import { parseScenario } from './scenario.ts';
import { quantile } from './summary.ts';

/** What healthy releases at the declared traffic came to; only what a reader has to know is listed. */
export interface PromotionDoubts {
  /** Fewer than half of the simulated releases were promoted. */
  unlikely: { service: string; policy: string; sentence: string; next: string }[];
  /** Services whose releases are too long to simulate in passing, with the reason. */
  skipped: string[];
}

const MAX_RUNS = 20;
const MIN_RUNS = 10;
/** About 2 s of one core, at some 40 µs a look; counted in looks so that the answer does not depend on the machine. */
const MAX_LOOKS = 50_000;
/** What `davy simulate` assumes of stable unless it is told otherwise. */
const BASE_ERROR_SHARE = 0.001;

/** Simulates a few healthy releases of every service that declares `expect.rate`. Seeds are fixed: the same spec gets the same answer. */
export function promotionDoubts(spec: Spec, maxLooks = MAX_LOOKS): PromotionDoubts {
  const doubts: PromotionDoubts = { unlikely: [], skipped: [] };
  let left = maxLooks;
  for (const service of Object.values(spec.services)) {
    const policy = own(spec.policies, service.policy);
    if (!service.expect || !policy) continue;
    const looks = looksOf(policy);
    const runs = Math.min(MAX_RUNS, Math.floor(left / looks));
    if (runs < MIN_RUNS) {
      doubts.skipped.push(
        `services.${service.name}: ${MIN_RUNS} releases by policies.${policy.name} are up to ${formatCount(MIN_RUNS * looks)} looks ` +
          `and ${formatCount(left)} of ${formatCount(maxLooks)} are left; ask ${askedOf(spec, service)}`,
      );
      continue;
    }
    const tried = tryOut(service, policy, service.expect.ratePerSecond, runs);
    left -= tried.runs * looks;
    if (2 * tried.promoted >= runs) continue;
    const rate = formatRatePerSecond(service.expect.ratePerSecond);
    doubts.unlikely.push({
      service: service.name,
      policy: policy.name,
      sentence:
        `services.${service.name}: at ${rate}, ${tried.promoted} of ${runs} simulated healthy releases were promoted by policies.${policy.name}; ` +
        `${tried.inconclusive} ended inconclusive and ${tried.rolledBack} rolled back, half of all within ${formatDurationMs(tried.medianMs)}`,
      next: `Give it a larger weight, a longer hold or a wider margin; \`${askedOf(spec, service)}\` shows the whole picture.`,
    });
  }
  return doubts;
}

/** Looks of a release that stays unproven in one step until the policy gives up. */
function looksOf(policy: PolicySpec): number {
  const total = policy.steps.reduce((sum, step) => sum + step.holdMs, policy.inconclusive.holdMs);
  return Math.ceil(total / coarseLookMs(policy)) + 1;
}

interface Tried {
  runs: number;
  promoted: number;
  inconclusive: number;
  rolledBack: number;
  medianMs: number;
}

/** Ends as soon as half of the runs were promoted: then there is nothing to say. */
function tryOut(service: ServiceSpec, policy: PolicySpec, rps: number, runs: number): Tried {
  const scenario = parseScenario('healthy');
  const traffic = ordinaryTraffic(service, policy, { rps, baseErrorShare: BASE_ERROR_SHARE, scenario });
  const ends = { promoted: 0, inconclusive: 0, 'rolled-back': 0 };
  const times: number[] = [];
  while (times.length < runs && 2 * ends.promoted < runs) {
    const { davy } = simulateRelease({ policy, traffic, guard: 'auto' }, times.length + 1);
    ends[davy.end]++;
    times.push(davy.atMs);
  }
  const { promoted, inconclusive, 'rolled-back': rolledBack } = ends;
  return { runs: times.length, promoted, inconclusive, rolledBack, medianMs: quantile(times, 0.5)! };
}

function askedOf({ source }: Spec, { name, expect }: ServiceSpec): string {
  return `davy simulate ${source.file} --service ${name} --rps ${expect!.ratePerSecond}`;
}
