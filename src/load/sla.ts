import { wilson95 } from '../analysis/proportion.ts';
import { type QuantileName, reportedQuantiles } from './figures.ts';
import type { LoadResult } from './result.ts';

/** What was promised to users. */
export interface Sla {
  latency: Partial<Record<QuantileName, number>>;
  /** Share of requests that may fail, over all routes. */
  errorShare: number | null;
}

/** MET and MISSED are proven at 95 %; everything else is UNPROVEN, whatever the point estimate says. */
export type SlaVerdict = 'MET' | 'MISSED' | 'UNPROVEN';

export interface SlaRow {
  name: string;
  limit: string;
  measured: string;
  verdict: SlaVerdict;
}

/**
 * One row per promise. A run that its own generator spoiled proves nothing; in any other the generator's lateness stands in the lower end of
 * each interval, so that it can neither make a promise MISSED nor, since it only adds, MET.
 */
export function slaTable(sla: Sla, result: LoadResult): SlaRow[] {
  const names = Object.keys(reportedQuantiles) as QuantileName[];
  const latency = names.flatMap((name) => {
    const limitMs = sla.latency[name];
    return limitMs === undefined ? [] : [latencyRow(name, limitMs, result)];
  });
  const rows = sla.errorShare === null ? latency : [...latency, errorRow(sla.errorShare, result)];
  if (result.validity.verdict === 'VALID') return rows;
  return rows.map((row) => ({ ...row, verdict: 'UNPROVEN' }));
}

function latencyRow(name: QuantileName, limitMs: number, { response }: LoadResult): SlaRow {
  const { ms, lowMs, highMs, enough } = response.quantiles[name];
  if (ms === null || lowMs === null || highMs === null) {
    return { name: label(name), limit: `${limitMs} ms`, measured: 'nothing was answered', verdict: 'UNPROVEN' };
  }
  const verdict = !enough ? 'UNPROVEN' : highMs <= limitMs ? 'MET' : lowMs > limitMs ? 'MISSED' : 'UNPROVEN';
  const measured = `${ms.toFixed(2)} ms [${lowMs.toFixed(2)}, ${highMs.toFixed(2)}]`;
  return { name: label(name), limit: `${limitMs} ms`, measured, verdict };
}

function errorRow(limitShare: number, { counts }: LoadResult): SlaRow {
  const failed = counts.requests - counts.ok;
  const { low, high } = wilson95(failed, counts.requests);
  // Without a failure the rule of three bounds the rate (Hanley and Lippman-Hand, JAMA 249 (1983), p. 1743).
  const upper = failed === 0 && counts.requests > 0 ? Math.min(1, 3 / counts.requests) : high;
  const verdict = upper <= limitShare ? 'MET' : low > limitShare ? 'MISSED' : 'UNPROVEN';
  const measured = `${percent(counts.requests === 0 ? 0 : failed / counts.requests)} [${percent(low)}, ${percent(upper)}]`;
  return { name: 'errors', limit: percent(limitShare), measured, verdict };
}

export const label = (name: QuantileName): string => (name === 'p999' ? 'p99.9' : name);
const percent = (share: number): string => `${Number((100 * share).toFixed(3))} %`;
