import { formatCount } from '../lib/units.ts';
import { type Assessment, told, type Why } from './assessment.ts';
import { type EdgeChoice, limitEdge } from './edges.ts';
import { edgePhi } from './evidence.ts';
import type { Judgement, MetricEvidence } from './judge.ts';
import { type Plan, stepOf } from './plan.ts';
import { activePods } from './pods.ts';
import type { State, Sums } from './state.ts';
import type { MetricValue } from './weigh.ts';

/** More than this share of what was answered must wait before it is worth a word. */
const WAITING_SHARE = 0.25;

/** A share in per cent with three significant digits: `5.1 %`, `0.012 %`, `0 %`. */
function percent(share: number): string {
  const value = share * 100;
  if (value === 0) return '0 %';
  if (value >= 10) return `${Number(value.toFixed(1))} %`;
  return `${Number(value.toPrecision(2))} %`;
}

/** Evidence with two digits: `2.3e4`, `130`, `0.6`. */
function nicely(evidence: number): string {
  if (evidence >= 1000) return evidence.toExponential(1).replace('e+', 'e');
  return String(Number(evidence.toPrecision(2)));
}

/** A length of time in its largest whole unit but one: `90 s`, `5 min`, `2.5 h`. */
function lasting(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Number((ms / 1000).toFixed(1))} s`;
  if (ms < 7_200_000) return `${Number((ms / 60_000).toFixed(1))} min`;
  return `${Number((ms / 3_600_000).toFixed(1))} h`;
}

function requests(count: number): string {
  return `${formatCount(count)} ${count === 1 ? 'request' : 'requests'}`;
}

/** The counts that tell the story: since the evidence began to rise, or of the whole step. */
function telling(s: State): Sums {
  return s.rise.canary.n > 0 ? s.rise : s.sums;
}

function failing(s: State, sums: Sums): string {
  const { canary, stable } = sums;
  if (canary.n <= 0) return unanswered(s, sums) ?? 'canary has had no requests';
  const own = `canary fails ${percent(canary.x / canary.n)} of ${requests(canary.n)}`;
  const both = stable.n > 0 ? `${own}, stable ${percent(stable.x / stable.n)} of ${formatCount(stable.n)}` : own;
  const waiting = unanswered(s, sums);
  return waiting === null ? both : `${both}; ${waiting}`;
}

/** What is sent and not answered, where that is more than what is always under way. */
function unanswered(s: State, { canary }: Sums): string | null {
  if (s.unanswered > 0 && s.sums.canary.n <= 0) return `${sentence(s.sums.canary.sent)}, none was answered yet`;
  if (s.unanswered > 0 && canary.n <= 0)
    return `none of the last ${requests(canary.sent)} to the canary was answered yet`;
  const silent = canary.lost - canary.x;
  if (silent >= WAITING_SHARE * canary.ended && silent > 0)
    return `${formatCount(silent)} of its ${requests(canary.ended)} got no answer in time`;
  if (s.unanswered < WAITING_SHARE * canary.n || s.unanswered <= 0) return null;
  return `${requests(s.unanswered)} to the canary ${s.unanswered === 1 ? 'is' : 'are'} not answered yet`;
}

function sentence(sent: number): string {
  return `${requests(sent)} ${sent === 1 ? 'was' : 'were'} sent to the canary`;
}

/** What the instant rule counts: failures, and requests without an answer in time where there are any. */
function losing(s: State): string {
  const { lost, x } = s.sums.canary;
  return lost > x ? 'fails or does not answer' : 'fails';
}

function hanging(s: State): string {
  const text = unanswered(s, s.sums);
  return text === null ? '' : `; ${text}`;
}

function slow(sums: Sums, s: State): string | null {
  const edge = tellingEdge(s.choice, sums);
  if (edge === null || sums.canary.known[edge]! <= 0) return null;
  const { canary, stable } = sums;
  const own = percent(canary.over[edge]! / canary.known[edge]!);
  const than = stable.known[edge]! > 0 ? `, stable ${percent(stable.over[edge]! / stable.known[edge]!)}` : '';
  const text = `${own} of the canary's ${requests(canary.known[edge]!)} take over ${s.edges![edge]} ms${than}`;
  const waiting = unanswered(s, sums);
  return waiting === null ? text : `${waiting}; ${text}`;
}

/** The tested edge at which the canary exceeds stable most, in standard deviations. */
function tellingEdge(choice: EdgeChoice | null, sums: Sums): number | null {
  let best: number | null = null;
  let most = Number.NEGATIVE_INFINITY;
  for (const edge of choice?.tested ?? []) {
    const { canary, stable } = sums;
    const expected = stable.known[edge]! > 0 ? (canary.known[edge]! * stable.over[edge]!) / stable.known[edge]! : 0;
    const off = (canary.over[edge]! - expected) / Math.sqrt(expected + 1);
    if (off > most) {
      most = off;
      best = edge;
    }
  }
  return best;
}

/** One plain sentence with the figures that decided. */
export function reasonOf(s: State, plan: Plan, found: Assessment, promote: Judgement['promote']): string {
  const { why } = found;
  const evidence = `evidence ${nicely(found.total)}`;
  switch (why.kind) {
    case 'counting-starts':
      return `No usable counts yet: ${why.problem}.`;
    case 'no-data':
      return `No usable metrics for ${lasting(why.blindMs)} (${why.problem}); ${afterBlind(why.rolledBack, plan)}.`;
    case 'canary-silent':
      return `The canary has had no requests for ${why.looks} looks while stable has some; ${afterBlind(why.rolledBack, plan)}.`;
    case 'stable-silent':
      return `Stable has had no requests for ${why.looks} looks, so there is nothing to compare the canary with.`;
    case 'instant':
      return `Canary ${losing(s)} ${percent(why.errors / why.requests)} of ${requests(why.requests)} within ${lasting(why.overMs)}, at most ${percent(why.limit)} may${alone(s)}${hanging(s)}.`;
    case 'evidence':
      return evidenceReason(s, plan, found, why);
    case 'instance-instant':
      return `Instance ${why.instance} fails ${percent(why.errors / Math.max(1, why.requests))} of its ${requests(why.requests)} while the canary's other instances do not: replace it.`;
    case 'instance-evidence':
      return `The ${evidence} rests on instance ${why.instance} alone (${nicely(why.without)} without it): replace it.`;
    case 'uncorroborated':
      return `The ${evidence} rests mostly on one instance (${nicely(why.without)} without it); holding until others confirm or clear it.`;
    case 'sustained':
      return why.instance === null
        ? `Canary has broken its limit for ${lasting(why.forMs)}: ${brokenBy(why)}.`
        : `Instance ${why.instance} alone keeps the canary above its limit for ${lasting(why.forMs)} (${brokenBy(why)}): replace it.`;
    case 'shared':
      return `A limit is broken (${why.limits.join(', ')}) but the canary is not worse than stable: ${failing(s, telling(s))}; holding.`;
    case 'placebo':
      return `The environment is unstable: some of stable's own instances look worse than the rest (evidence ${nicely(why.evidence)} ≥ 20); holding.`;
    case 'load-drop':
      return `Total throughput is far below its forecast (evidence ${nicely(why.evidence)} ≥ ${nicely(plan.threshold)}); holding.`;
    case 'safe':
      return `Proven safe at this weight after ${lasting(s.heldMs)}: ${failing(s, s.sums)}${boundText(promote.harmBoundShare)}.`;
    case 'inconclusive':
      return `No proof after ${lasting(s.elapsedMs)} at this weight: still missing ${why.waiting}; ${failing(s, s.sums)}.`;
    case 'no-traffic':
      return 'No requests on either version since the last look; nothing is proven without traffic.';
    case 'cold-start':
      return coldText(s, plan, why);
    case 'waiting':
      return `${unanswered(s, s.sums) === null ? 'No sign' : 'No proof'} of harm (${evidence} < ${nicely(plan.threshold)}): ${failing(s, s.sums)}; waiting for ${waitingText(s, plan, promote, why.waiting)}.`;
  }
}

function coldText(s: State, plan: Plan, why: Extract<Why, { kind: 'cold-start' }>): string {
  const what = slow(s.sums, s) ?? 'the canary is slower than stable';
  const age = `its youngest instance has served for ${lasting(why.youngestMs)}`;
  const then = why.warming
    ? `latency counts after the warm-up of ${lasting(plan.policy.warmupMs)}`
    : 'its latency still falls, so it is watched on';
  return `May be a cold start: ${what}, and ${age}; ${then}.`;
}

function afterBlind(rolledBack: boolean, plan: Plan): string {
  const { holdMs, then } = plan.policy.noData;
  if (rolledBack) return `that is longer than ${lasting(holdMs)}, and a canary that cannot be observed is not safe`;
  return then === 'rollback' ? `holding, and rolling back after ${lasting(holdMs)}` : 'holding';
}

function evidenceReason(s: State, plan: Plan, found: Assessment, why: Extract<Why, { kind: 'evidence' }>): string {
  const sums = telling(s);
  const top = found.metrics.reduce((a, b) => (b.weight * b.evidence > a.weight * a.evidence ? b : a));
  const isSlow = top.name === 'latency' || top.name.startsWith('absolute-p');
  const isShare = top.name === 'split' || top.name === 'throughput';
  const what = (isSlow ? slow(sums, s) : isShare ? shareText(sums) : null) ?? failing(s, sums);
  const names = why.named.length > 0 ? why.named.join(', ') : 'all metrics together';
  return `${what.charAt(0).toUpperCase()}${what.slice(1)}; evidence ${nicely(found.total)} ≥ ${nicely(plan.threshold)} (${names})${alone(s)}.`;
}

/** The limit of every statistic, said where it matters. */
function alone(s: State): string {
  return activePods(s.pods) === 1 ? '; with one canary instance, a bad version and a bad machine look alike' : '';
}

function shareText({ dealt }: Sums): string {
  const all = dealt.canary + dealt.stable;
  const what = `${dealt.clients ? 'new client' : 'request'}${all === 1 ? '' : 's'}`;
  return `canary gets ${percent(all > 0 ? dealt.canary / all : 0)} of ${formatCount(all)} ${what}`;
}

function brokenBy(why: Extract<Why, { kind: 'sustained' }>): string {
  const what =
    why.underMs === null ? 'fail' : `take over ${why.underMs} ms, its ${why.limit.slice('absolute-'.length)} limit`;
  const share = percent(why.events / Math.max(1, why.requests));
  return `${share} of ${requests(why.requests)} ${what}, at most ${percent(why.share)} may`;
}

function boundText(bound: number | null): string {
  return bound === null ? '' : `, excess errors below ${percent(bound)}`;
}

function waitingText(s: State, plan: Plan, promote: Judgement['promote'], waiting: string): string {
  const { needRequests, needMs } = promote;
  if (promote.passed) {
    const left = Math.max(0, stepOf(plan, s.step).holdMs - s.heldMs);
    return left > 0 ? `the rest of the hold (${lasting(left)})` : waiting;
  }
  if (needRequests === null) return waiting;
  const time = needMs === null ? '' : `, ${lasting(needMs)} at this rate`;
  return `${waiting} (about ${formatCount(needRequests)} more canary requests${time})`;
}

/** The table of evidence: one line per metric. */
export function metricLines(s: State, plan: Plan, found: Assessment): MetricEvidence[] {
  return found.metrics.map((metric) => {
    const named = !metric.gated && metric.weight * metric.evidence >= plan.threshold;
    const { canary, stable, says } = lineOf(s, plan, metric);
    return { name: metric.name, evidence: told(metric.evidence), weight: metric.weight, named, canary, stable, says };
  });
}

type Line = Pick<MetricEvidence, 'canary' | 'stable' | 'says'>;

function lineOf(s: State, plan: Plan, metric: MetricValue): Line {
  const sums = telling(s);
  const { canary, stable } = sums;
  const step = stepOf(plan, s.step);
  const errors = {
    canary: { requests: canary.n, events: canary.x },
    stable: stable.n > 0 ? { requests: stable.n, events: stable.x } : null,
  };
  const gated = metric.gated && metric.evidence >= 20 ? '; does not count, stable is no better' : '';
  switch (metric.name) {
    case 'errors':
      return { ...errors, says: failing(s, sums) };
    case 'latency':
      return latencyLine(s, sums);
    case 'absolute-errors': {
      const limit = step.limits.errorShare;
      const says = limit === null ? 'no limit in this step' : `at most ${percent(limit)} may fail${gated}`;
      return { canary: errors.canary, stable: null, says };
    }
    case 'split':
    case 'throughput': {
      const { dealt } = sums;
      return {
        canary: { requests: dealt.canary + dealt.stable, events: dealt.canary },
        stable: null,
        says: `${shareText(sums)}, weight ${percent(step.weightBp / 10_000)}`,
      };
    }
    case 'catastrophe':
      return { ...errors, says: 'a gross failure that one instance cannot explain' };
    default:
      return absoluteLatencyLine(s, plan, metric, sums, gated);
  }
}

function latencyLine(s: State, sums: Sums): Line {
  const edge = tellingEdge(s.choice, sums);
  if (s.edges !== null && s.edges.length === 0)
    return { canary: null, stable: null, says: 'the source counts no latency' };
  if (edge === null) return { canary: null, stable: null, says: "learning stable's latency first" };
  const { canary, stable } = sums;
  const spread = edgePhi(s, edge);
  const clusters = spread > 1.05 ? `; evidence divided by ${nicely(spread)}, stable's slow requests cluster` : '';
  return {
    canary: { requests: canary.known[edge]!, events: canary.over[edge]! },
    stable: stable.known[edge]! > 0 ? { requests: stable.known[edge]!, events: stable.over[edge]! } : null,
    says: `${slow(sums, s) ?? 'no requests yet'}${clusters}`,
  };
}

function absoluteLatencyLine(s: State, plan: Plan, metric: MetricValue, sums: Sums, gated: string): Line {
  const limit = stepOf(plan, s.step).limits.latency.find(
    (l) => metric.name === `absolute-p${Number((l.quantile * 100).toFixed(3))}`,
  );
  if (limit === undefined) return { canary: null, stable: null, says: 'no limit in this step' };
  const edge = s.edges === null ? null : limitEdge(s.edges, limit.underMs);
  if (edge === null) return { canary: null, stable: null, says: 'the source counts no latency' };
  const at = s.edges![edge.index]!;
  const where =
    edge.kind === 'exact'
      ? ''
      : edge.kind === 'above'
        ? `, counted over ${at} ms, the next bucket edge (lenient)`
        : `, counted over ${at} ms, the highest bucket edge (strict)`;
  const { canary } = sums;
  return {
    canary: { requests: canary.known[edge.index]!, events: canary.over[edge.index]! },
    stable: null,
    says: `at most ${percent(1 - limit.quantile)} may take over ${limit.underMs} ms${where}${gated}`,
  };
}
