import { columns, joined, type Shown, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { formatCount, formatDurationMs, formatShare } from '../lib/units.ts';
import { type QuantileName, reportedQuantiles } from '../load/figures.ts';
import { hasSuccess, type LoadLive, type LoadResult } from '../load/result.ts';
import { label, type SlaRow } from '../load/sla.ts';
import type { ProposedThreshold } from '../load/thresholds.ts';
import { bar } from './bars.ts';
import type { Style } from './style.ts';

/** One line while a run goes on. */
export function renderLive(live: LoadLive, totalMs: number): TerminalText {
  const share = Math.min(1, live.elapsedMs / totalMs);
  const rate = (1000 * live.requests) / Math.max(1, live.intervalMs);
  const p95 = live.p95Ms === null ? '–' : `${live.p95Ms.toFixed(1)} ms`;
  const elapsed = formatDurationMs(1000 * Math.round(live.elapsedMs / 1000));
  return term`${bar(share, 20)} ${elapsed}/${formatDurationMs(totalMs)}  ${rate.toFixed(0)}/s  p95 ${p95}  errors ${live.errors}  waiting ${live.outstanding}`;
}

const invalidNext =
  'next: these figures prove nothing, because the generator was late or overloaded itself; run again on a quieter machine, at a lower rate, or with more --processes';

const nothingNext = 'next: no request succeeded; see whether the service runs at this address';

/** The end of a run: the verdict first, then promises, then figures. */
export function renderResult(result: LoadResult, sla: readonly SlaRow[], style: Style): TerminalText {
  const { validity } = result;
  const verdict =
    validity.verdict === 'VALID' ? style.good('VALID') : style.bad(`INVALID: ${validity.reasons.join('; ')}`);
  const parts: Shown[] = [term`run          ${verdict} (${result.model}, seed ${result.seed})`];
  if (sla.length > 0) parts.push('', renderSla(sla, style));
  parts.push('', renderFigures(result));
  // Of a wrong address people hear however late the generator was: a quieter machine would not help them.
  if (result.counts.requests > 0 && !hasSuccess(result)) parts.push('', nothingNext);
  else if (validity.verdict === 'INVALID') parts.push('', invalidNext);
  return term`${joined(parts)}\n`;
}

export function renderSla(rows: readonly SlaRow[], style: Style): TerminalText {
  const mark = { MET: style.good('✓ MET'), MISSED: style.bad('✗ MISSED'), UNPROVEN: style.warn('? UNPROVEN') };
  return columns(rows.map((row) => [mark[row.verdict], row.name, `limit ${row.limit}`, `measured ${row.measured}`]));
}

function renderFigures(result: LoadResult): TerminalText {
  const { counts, response, service, lag } = result;
  const errors = Object.entries(counts.errors).map(([name, count]) => `${name} ${formatCount(count)}`);
  const rows = [
    [
      'offered',
      `${result.offeredPerSecond.toFixed(1)}/s`,
      `answered in time ${result.achievedPerSecond.toFixed(1)}/s`,
      `dropped ${formatCount(result.dropped)}`,
    ],
    [
      'requests',
      formatCount(counts.requests),
      `ok ${formatCount(counts.ok)}`,
      errors.length === 0 ? 'no errors' : errors.join(', '),
    ],
    ['response', ...quantiles(response), `max ${response.maxMs.toFixed(1)} ms`],
    ['service', ...quantiles(service), `max ${service.maxMs.toFixed(1)} ms`],
    ['generator', `lag p99 ${lag.quantiles.p99.ms.toFixed(2)} ms`, `CPU ${formatShare(result.cpuShare, 0)} of a core`],
  ];
  const routes = result.targets.length < 2 ? [] : ['', renderTargets(result)];
  const unsure = shown.some((name) => name in reportedQuantiles && !response.quantiles[name].enough);
  return joined([columns(rows), ...routes, ...(unsure ? ['', tooFew] : [])]);
}

const tooFew = '? too few requests for this percentile: a longer run or a higher rate gives it';

function renderTargets({ targets }: LoadResult): TerminalText {
  return columns(
    targets.map((target) => [
      target.name,
      formatCount(target.requests),
      `ok ${formatCount(target.ok)}`,
      `p95 ${target.response.quantiles.p95.ms.toFixed(1)} ms`,
    ]),
  );
}

const shown: QuantileName[] = ['p50', 'p75', 'p95', 'p99', 'p999'];

/** A quantile with too few samples beyond it carries a question mark. */
function quantiles({ quantiles: figures }: LoadResult['response']): string[] {
  return shown
    .filter((name) => name in reportedQuantiles)
    .map((name) => `${label(name)} ${figures[name].ms.toFixed(1)}${figures[name].enough ? '' : '?'}`);
}

export function renderThresholds(thresholds: readonly ProposedThreshold[]): TerminalText {
  const rows = thresholds.map((one) => [
    one.quantile,
    `warn ${one.warnMs} ms`,
    `page ${one.pageMs} ms`,
    `for ${formatDurationMs(one.holdMs)}`,
    one.expression.page,
    one.sloWithinNoise ? 'the SLO lies within the noise of the baseline' : '',
  ]);
  return term`${columns(rows)}\n`;
}
