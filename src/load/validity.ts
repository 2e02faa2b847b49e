import { type LatencyFigures, type QuantileName, reportedQuantiles } from './figures.ts';
import type { InvalidCause, LoadCounts, LoadResult, Validity } from './result.ts';

/** What a run's validity follows from. */
interface ValidityInput {
  model: LoadResult['model'];
  cpuShare: number;
  offered: number;
  dropped: number;
  counts: LoadCounts;
  response: LatencyFigures;
  lag: LatencyFigures;
}

/** Limits within which the generator trusts its own figures. */
const limits = { cpuShare: 0.8, lostShare: 0.001 };

/**
 * Whether the figures of a run can bear a verdict: what the generator did itself must not have shaped them. A request that left late spoils
 * the quantiles that it can have moved; the run as a whole only when not even the median stands. A closed run has no schedule to miss.
 */
export function validityOf(run: ValidityInput): Validity {
  const found = run.model === 'closed' ? closedProblems(run) : [...closedProblems(run), ...openProblems(run)];
  const names = Object.keys(reportedQuantiles) as QuantileName[];
  return {
    verdict: found.length === 0 ? 'VALID' : 'INVALID',
    reasons: found.map(([, says]) => says),
    causes: found.map(([cause]) => cause),
    unsound: names.filter((name) => !run.response.quantiles[name].sound),
  };
}

type Problem = [cause: InvalidCause, says: string];

function closedProblems({ offered, counts, response }: ValidityInput): Problem[] {
  if (offered === 0) return [['nothing-sent', 'nothing was sent']];
  const local = counts.errors.local ?? 0;
  const problems: Problem[] = [];
  if (local > limits.lostShare * offered) {
    const says = `this machine had no port, descriptor or memory left for ${share(local, offered)} of the requests`;
    problems.push(['local', says]);
  }
  if (response.count === 0 && counts.requests > 0) {
    const errors = Object.entries(counts.errors).map(([name, count]) => `${name} ${count}`);
    problems.push(['no-answer', `no request was answered (${errors.join(', ')})`]);
  }
  return problems;
}

function openProblems({ offered, cpuShare, dropped, response, lag }: ValidityInput): Problem[] {
  if (offered === 0) return [];
  const problems: Problem[] = [];
  if (!response.quantiles.p50.sound) {
    const { p50, p99 } = lag.quantiles;
    problems.push(['late', `requests were sent ${ms(p50.ms)} late in the median, ${ms(p99.ms)} in the p99`]);
  }
  if (cpuShare > limits.cpuShare) {
    problems.push(['busy', `own CPU ${percent(cpuShare)} of a core is above ${percent(limits.cpuShare)}`]);
  }
  if (dropped > limits.lostShare * offered) {
    const says = `${share(dropped, offered)} of the arrivals were dropped; ${percent(limits.lostShare)} are allowed`;
    problems.push(['dropped', says]);
  }
  return problems;
}

const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
const share = (part: number, of: number): string => percent(part / of);
const ms = (value: number | null): string => `${(value ?? 0).toFixed(1)} ms`;
