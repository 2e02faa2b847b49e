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
  runs: LoadResult[];
  /** Over all runs together. */
  sla: SlaRow[];
  /** None when a run had no success: the time until a failure is no latency to be alerted on. */
  thresholds: ProposedThreshold[];
  /** INVALID when any run was; else the worst row; UNPROVEN without promises. */
  verdict: SlaVerdict | 'INVALID';
}

/** Without a promise, an alert may not be later than these. */
const fallbackSloMs = { p95: 500, p99: 1_000 } as const;

export function buildBaseline(input: {
  plan: LoadPlan;
  sla: Sla;
  results: LoadResult[];
  generator: string;
  atMs: number;
}): BaselineReport {
  const { plan, sla, results, generator, atMs } = input;
  const rows = slaTable(sla, joined(results));
  const invalid = results.some((result) => result.validity.verdict === 'INVALID');
  return {
    ...{ atMs, generator, plan, runs: results, sla: rows },
    hardware: { cpu: cpus()[0]?.model ?? 'unknown', cores: availableParallelism(), memoryBytes: totalmem() },
    planSha256: createHash('sha256').update(JSON.stringify(plan)).digest('hex'),
    thresholds: results.every(hasSuccess)
      ? (['p95', 'p99'] as const).map((name) => thresholdOf(name, sla, results))
      : [],
    verdict: invalid ? 'INVALID' : worst(rows),
  };
}

/** All runs as one: counts add up, and so do histograms. */
function joined(results: readonly LoadResult[]): LoadResult {
  const [first] = results;
  if (!first) throw new TypeError('a baseline needs a run');
  const response = latencyFigures(mergeHistograms(results.map((result) => result.histograms.response)));
  const requests = results.reduce((sum, result) => sum + result.counts.requests, 0);
  const ok = results.reduce((sum, result) => sum + result.counts.ok, 0);
  return { ...first, response, counts: { ...first.counts, requests, ok } };
}

function thresholdOf(name: 'p95' | 'p99', sla: Sla, results: readonly LoadResult[]): ProposedThreshold {
  const of = (quantile: QuantileName): number[] => results.map((result) => result.response.quantiles[quantile].ms);
  const rates = results.map((result) => result.achievedPerSecond);
  return proposeThreshold(
    {
      name: label(name),
      quantile: reportedQuantiles[name],
      runsMs: of(name),
      p99Ms: median(of('p99')),
      sloMs: sla.latency[name] ?? fallbackSloMs[name],
    },
    median(rates),
  );
}

function worst(rows: readonly SlaRow[]): SlaVerdict {
  if (rows.some((row) => row.verdict === 'MISSED')) return 'MISSED';
  return rows.length > 0 && rows.every((row) => row.verdict === 'MET') ? 'MET' : 'UNPROVEN';
}
