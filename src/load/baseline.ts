import { createHash } from 'node:crypto';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { latencyFigures, mergeHistograms, type QuantileName, reportedQuantiles } from './figures.ts';
import type { LoadPlan } from './plan.ts';
import { hasSuccess, type LoadResult } from './result.ts';
import { label, type Sla, type SlaRow, type SlaVerdict, slaTable } from './sla.ts';
import { median, type ProposedThreshold, proposeThreshold } from './thresholds.ts';

/** Everything that a reader needs to doubt or repeat a baseline. */
export interface BaselineReport {
  atMs: number;
  generator: string;
  hardware: { cpu: string; cores: number; memoryBytes: number };
  plan: LoadPlan;
  planSha256: string;
  /** Those that are VALID. */
  runs: LoadResult[];
  /** How many were INVALID and are left out. */
  spoiledRuns: number;
  /** Over all runs together. */
  sla: SlaRow[];
  /** Of each quantile that stands in every run; none when a run had no success: the time until a failure is no latency to be alerted on. */
  thresholds: ProposedThreshold[];
  /** INVALID with fewer VALID runs than were wanted: then nothing is proposed. Else the worst row; UNPROVEN without promises. */
  verdict: SlaVerdict | 'INVALID';
}

/** Without a promise, an alert may not be later than these. */
const fallbackSloMs = { p95: 500, p99: 1_000 } as const;

/**
 * Whether a baseline lacks VALID runs and may still get them: a spoiled one is repeated, at most once for each that is wanted. Where nobody
 * answers, repeating is of no use.
 */
export function needsRun(results: readonly LoadResult[], wantedRuns: number): boolean {
  if (results.at(-1)?.validity.causes.includes('no-answer')) return false;
  return results.filter(isValid).length < wantedRuns && results.length < 2 * wantedRuns;
}

export function buildBaseline(input: {
  plan: LoadPlan;
  sla: Sla;
  /** All of them, the spoiled ones included. */
  results: LoadResult[];
  wantedRuns: number;
  generator: string;
  atMs: number;
}): BaselineReport {
  const { sla, results, wantedRuns, generator, atMs } = input;
  const runs = results.filter(isValid);
  const isEnough = runs.length >= wantedRuns;
  const rows = runs.length === 0 ? [] : slaTable(sla, joined(runs));
  const plan = withoutSecrets(input.plan);
  return {
    ...{ atMs, generator, plan, runs, spoiledRuns: results.length - runs.length, sla: rows },
    hardware: { cpu: cpus()[0]?.model ?? 'unknown', cores: availableParallelism(), memoryBytes: totalmem() },
    planSha256: createHash('sha256').update(JSON.stringify(plan)).digest('hex'),
    thresholds: isEnough && runs.every(hasSuccess) ? thresholdsOf(sla, runs) : [],
    verdict: isEnough ? worst(rows) : 'INVALID',
  };
}

const isValid = ({ validity }: LoadResult): boolean => validity.verdict === 'VALID';

/** The report goes into the ledger, which forgets nothing: what may let somebody in stays out of it. */
function withoutSecrets(plan: LoadPlan): LoadPlan {
  const targets = plan.targets.map((target) => {
    const headers = Object.entries(target.headers).map(([name, value]) => [
      name,
      secretHeader.test(name) ? '…' : value,
    ]);
    return { ...target, headers: Object.fromEntries(headers) as Record<string, string> };
  });
  return { ...plan, targets };
}

const secretHeader = /auth|cookie|token|secret|key|password|session/i;

/** All runs as one: counts add up, and so do histograms. */
function joined(results: readonly LoadResult[]): LoadResult {
  const [first] = results;
  if (!first) throw new TypeError('a baseline needs a run');
  const merged = (name: keyof LoadResult['histograms']) =>
    mergeHistograms(results.map((result) => result.histograms[name]));
  const response = latencyFigures(merged('response'), { lag: merged('lag'), punctual: merged('punctual') });
  const requests = results.reduce((sum, result) => sum + result.counts.requests, 0);
  const ok = results.reduce((sum, result) => sum + result.counts.ok, 0);
  return { ...first, response, counts: { ...first.counts, requests, ok } };
}

function thresholdsOf(sla: Sla, runs: readonly LoadResult[]): ProposedThreshold[] {
  const of = (name: QuantileName): number[] => runs.flatMap((run) => run.response.quantiles[name].ms ?? []);
  const p99Ms = median(of('p99'));
  const ratePerSecond = median(runs.map((run) => run.achievedPerSecond));
  return (['p95', 'p99'] as const)
    .filter((name) => runs.every((run) => run.response.quantiles[name].sound))
    .map((name) => {
      const sloMs = sla.latency[name] ?? fallbackSloMs[name];
      const quantile = reportedQuantiles[name];
      return proposeThreshold({ name: label(name), quantile, runsMs: of(name), p99Ms, sloMs }, ratePerSecond);
    });
}

function worst(rows: readonly SlaRow[]): SlaVerdict {
  if (rows.some((row) => row.verdict === 'MISSED')) return 'MISSED';
  return rows.length > 0 && rows.every((row) => row.verdict === 'MET') ? 'MET' : 'UNPROVEN';
}
