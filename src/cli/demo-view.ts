import { padded, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { formatDurationMs, formatShare, formatWeightBp } from '../lib/units.ts';
import type { LoadLive } from '../load/result.ts';
import { evidenceText } from '../release/explain.ts';
import type { ReleaseView } from '../release/view.ts';
import { bar, trend } from './bars.ts';
import type { Style } from './style.ts';

const BAR_CELLS = 40;
const TREND_CELLS = 40;
const REASON_LINES = 3;
const REASON_CHARS = 76;
/** The trend's full height when everything is well: 1 % errors. */
const TREND_FLOOR = 0.01;

/** Error rates per look, for the trend line. */
export interface DemoTrend {
  canary: number[];
  stable: number[];
}

/** The live view while a release is in flight: split, step, errors, latency, verdict. */
export function renderDemo(view: ReleaseView, live: LoadLive | null, history: DemoTrend, style: Style): TerminalText[] {
  const weight = (view.effectiveWeightBp ?? 0) / 10_000;
  return [
    term``,
    style.bold(term`${view.service}: ${view.from} → ${view.version}   (${view.id})`),
    term`  ${padded(view.from, 4)} ${style.good(bar(1 - weight, BAR_CELLS))} ${formatShare(1 - weight, 0)}`,
    term`  ${padded(view.version, 4)} ${style.warn(bar(weight, BAR_CELLS))} ${formatShare(weight, 0)}`,
    term`  ${stepText(view)}`,
    term`  errors ${view.version}  ${trend(history.canary, TREND_CELLS, TREND_FLOOR)} ${rateText(history.canary)}`,
    term`  errors ${view.from}  ${trend(history.stable, TREND_CELLS, TREND_FLOOR)} ${rateText(history.stable)}`,
    term`  latency    ${latencyText(live)}`,
    term`  verdict    ${verdictText(view, style)}`,
    ...wrap(view.judgement?.reason ?? view.endReason ?? 'waiting for the first look').map((line) =>
      style.dim(term`  ${line}`),
    ),
    term``,
  ];
}

/** Always the same number of lines, so that the frame does not jump. */
function wrap(text: string): string[] {
  const lines = Array.from({ length: REASON_LINES }, () => '');
  let at = 0;
  for (const word of text.split(/\s+/)) {
    if (`${lines[at]} ${word}`.length > REASON_CHARS && at < REASON_LINES - 1) at += 1;
    lines[at] = lines[at] === '' ? word : `${lines[at]} ${word}`;
  }
  return lines;
}

function stepText(view: ReleaseView): TerminalText {
  const rail = view.steps
    .map((step, index) =>
      index === view.step && view.endedAtMs === null
        ? `[${formatWeightBp(step.weightBp)}]`
        : formatWeightBp(step.weightBp),
    )
    .join(' → ');
  const step = view.steps[view.step];
  if (!step || view.endedAtMs !== null) return term`${rail}`;
  const leftMs = Math.max(0, step.holdMs - view.heldMs);
  return term`${rail}   ${leftMs > 0 ? `${formatDurationMs(Math.ceil(leftMs / 1000) * 1000)} left` : 'waiting for proof'}`;
}

function rateText(rates: number[]): string {
  const last = rates.at(-1);
  return last === undefined ? '-' : formatShare(last, 1);
}

function latencyText(live: LoadLive | null): TerminalText {
  if (!live || live.p50Ms === null) return term`-`;
  const ms = (value: number | null): string => (value === null ? '-' : `${value.toFixed(0)} ms`);
  return term`p50 ${ms(live.p50Ms)}   p95 ${ms(live.p95Ms)}   p99 ${ms(live.p99Ms)}`;
}

function verdictText(view: ReleaseView, style: Style): TerminalText {
  const paint = view.verdict === 'FAIL' ? style.bad : view.verdict === 'PASS' ? style.good : style.warn;
  const evidence = view.judgement?.evidence;
  const text = evidence
    ? term`   evidence of harm ${evidenceText(evidence.total)} of ${evidenceText(evidence.threshold)}`
    : '';
  return term`${paint(view.verdict)}${text}`;
}
