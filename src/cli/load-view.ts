import { columns, joined, type Shown, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { formatCount, formatDurationMs, formatShare } from '../lib/units.ts';
import type { QuantileName } from '../load/figures.ts';
import type { Knee, OverloadRow } from '../load/ladder.ts';
import { hasSuccess, type InvalidCause, type LoadLive, type LoadResult } from '../load/result.ts';
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

const nextOf: Partial<Record<InvalidCause, string>> = {
  'no-answer': 'see whether the service runs at this address, and speaks HTTP/1.1 there',
  local: 'a lower rate, keep-alive, or more ports and descriptors for this machine',
};
const invalidNext =
  'these figures prove nothing, because the generator was late or overloaded itself; run again on a quieter machine, at a lower rate, or with more --processes';

const nothingNext = 'no request succeeded; see whether the service runs at this address';

/** The end of a run: the verdict first, then promises, then figures. */
export function renderResult(result: LoadResult, sla: readonly SlaRow[], style: Style): TerminalText {
  const { validity } = result;
  const verdict =
    validity.verdict === 'VALID' ? style.good('VALID') : style.bad(`INVALID: ${validity.reasons.join('; ')}`);
  const parts: Shown[] = [term`run          ${verdict} (${result.model}, seed ${result.seed})`];
  if (sla.length > 0) parts.push('', renderSla(sla, style));
  parts.push('', renderFigures(result));
  const next = nextStep(result);
  if (next !== null) parts.push('', `next: ${next}`);
  return term`${joined(parts)}\n`;
}

/** Of a wrong address people hear however late the generator was: a quieter machine would not help them. */
function nextStep(result: LoadResult): string | null {
  const { verdict, causes } = result.validity;
  const known = causes.map((cause) => nextOf[cause]).find((next) => next !== undefined);
  if (known !== undefined) return known;
  if (result.counts.requests > 0 && !hasSuccess(result)) return nothingNext;
  return verdict === 'INVALID' ? invalidNext : null;
}

export function renderSla(rows: readonly SlaRow[], style: Style): TerminalText {
  const mark = { MET: style.good('✓ MET'), MISSED: style.bad('✗ MISSED'), UNPROVEN: style.warn('? UNPROVEN') };
  return columns(rows.map((row) => [mark[row.verdict], row.name, `limit ${row.limit}`, `measured ${row.measured}`]));
}

function renderFigures(result: LoadResult): TerminalText {
  const { counts, response, service, lag, validity } = result;
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
    ['response', ...quantiles(response, validity.unsound), `max ${ms(response.maxMs)}`],
    ['service', ...quantiles(service, []), `max ${ms(service.maxMs)}`],
    ['generator', `lag p99 ${ms(lag.quantiles.p99.ms, 2)}`, `CPU ${formatShare(result.cpuShare, 0)} of a core`],
    ...poolRow(result),
  ];
  const routes = result.targets.length < 2 ? [] : ['', renderTargets(result)];
  const unsure = shown.some((name) => response.count > 0 && !response.quantiles[name].enough);
  const notes = [...(unsure ? [tooFew] : []), ...(validity.unsound.length > 0 ? [tooLate] : [])];
  return joined([columns(rows), ...routes, ...(notes.length > 0 ? ['', ...notes] : [])]);
}

/** Requests that waited in the generator: the service may have been slow, or the connections too few. */
function poolRow({ pool }: LoadResult): string[][] {
  if (pool.count === 0) return [];
  const waits = `p99 ${ms(pool.quantiles.p99.ms)}, max ${ms(pool.maxMs)}`;
  return [['pool', `${formatCount(pool.count)} requests waited for a connection`, waits]];
}

const tooFew = '? too few requests for this percentile: a longer run or a higher rate gives it';
const tooLate = '! the generator was late, which may have made this percentile longer; those without the mark stand';

function renderTargets({ targets }: LoadResult): TerminalText {
  return columns(
    targets.map((target) => [
      target.name,
      formatCount(target.requests),
      `ok ${formatCount(target.ok)}`,
      `p95 ${ms(target.response.quantiles.p95.ms)}`,
    ]),
  );
}

const shown: QuantileName[] = ['p50', 'p75', 'p95', 'p99', 'p999'];

/** A quantile with too few samples beyond it carries a question mark, one that may be the generator's an exclamation mark. */
function quantiles({ quantiles: figures }: LoadResult['response'], unsound: readonly QuantileName[]): string[] {
  return shown.map((name) => {
    const { ms: value, enough } = figures[name];
    if (value === null) return `${label(name)} –`;
    return `${label(name)} ${value.toFixed(1)}${enough ? '' : '?'}${unsound.includes(name) ? '!' : ''}`;
  });
}

const ms = (value: number | null, digits = 1): string => (value === null ? '–' : `${value.toFixed(digits)} ms`);

const foundWords: Record<Knee['found'], string> = {
  knee: '',
  max: ', the highest rate that was asked for',
  'at-least': ', or more: the knee was not found',
  nothing: 'nothing',
};

/** What a ladder found, and how the service behaved beyond it. */
export function renderLadder(knee: Knee, overload: readonly OverloadRow[]): TerminalText {
  const { found, ratedPerSecond, beyond, unknown } = knee;
  const lines: Shown[] = [
    term`carried      ${ratedPerSecond === null ? '' : `${ratedPerSecond}/s`}${foundWords[found]}`,
  ];
  if (beyond) lines.push(term`beyond       ${beyond.ratePerSecond}/s: ${beyond.why}`);
  if (unknown && found !== 'knee' && (found !== 'nothing' || beyond === null)) {
    lines.push(term`unknown      ${unknown.ratePerSecond}/s: ${unknown.why}`);
    lines.push('', 'next: run again on a quieter machine, with more --processes, or with a longer --for');
  }
  const rows = overload.map((row) => [
    `${100 * row.share} %`,
    row.verdict,
    `${row.goodPerSecond.toFixed(0)}/s good`,
    row.reasons.join('; '),
  ]);
  if (rows.length > 0) lines.push(columns(rows));
  return term`${joined(lines)}\n`;
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
