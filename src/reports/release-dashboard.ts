import { wilson95 } from '../analysis/proportion.ts';
import { html, lines, type Markup } from '../lib/outside-text/markup.ts';
import { formatCount, formatDurationMs, formatShare, formatWeightBp } from '../lib/units.ts';
import { quantileMs } from '../metrics/quantile.ts';
import type { Arm, LatencyCounts, LookPoint } from '../release/look-points.ts';
import type { StepLimits } from '../spec/model.ts';
import { htmlTable, type TableRow } from './markup.ts';
import { barChart, lineChart } from './svg-chart.ts';

/** All that a release measured at one weight. */
export interface StepFigures {
  step: number;
  weightBp: number;
  canary: Arm;
  stable: Arm;
  latency: LatencyCounts;
  /** Looks, and how many of them saw nothing. */
  looks: number;
  blind: number;
}

export interface DashboardInput {
  release: string;
  service: string;
  canary: string;
  stable: string;
  requestedAtMs: number;
  requestedBy: string;
  reason: string;
  policy: string;
  /** Limits per step of the policy, as it stood when the release was requested. */
  limits: StepLimits[];
  /** The record that called for the dashboard, and what it says. */
  at: { seq: number; time: string; type: string; says: string };
  fromSeq: number;
  points: LookPoint[];
  steps: StepFigures[];
}

/** Looks are short and rates of few requests jump: a trend is drawn over so many points of the same step. */
const SMOOTH_POINTS = 5;
/** Requests that were under way when the weight changed are counted at the new step. */
const SWITCH_SHARE = 0.01;
/** Steps whose latency distribution is drawn, the newest; all of them stand in the table. */
const MAX_HISTOGRAMS = 6;
const QUANTILES = [0.5, 0.75, 0.95, 0.99];
const Z95 = 1.96;

/**
 * The dashboard of one release as one page that needs nothing else: no script, no request, figures as text beside every
 * drawing. Pure: the same looks give the same bytes, so whoever has the records can draw it again.
 */
export function releaseDashboard(input: DashboardInput): Markup {
  const title = `${input.release}: ${input.service} ${input.stable} → ${input.canary}`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${title}</h1>
${header(input)}
<h2>Error rate</h2>
${errorPanel(input)}
<h2>Latency</h2>
${latencyPanel(input)}
<h2>Request split</h2>
${splitPanel(input)}
${footer(input)}
</body>
</html>
`;
}

const STYLE = html`
body{font:15px/1.45 system-ui,"Liberation Sans",sans-serif;max-width:960px;margin:24px auto;padding:0 16px;color:#1d1c1a;background:#fff}
h1{font-size:1.35rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:1.6em 0 .4em}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0}dt{color:#5d5a54}dd{margin:0;overflow-wrap:anywhere}
svg{width:100%;height:auto;display:block;font-size:12px;fill:#5d5a54}
svg .left{text-anchor:end;dominant-baseline:middle}.grid{stroke:#dedbd4;fill:none}
.line{fill:none;stroke-width:2;stroke-linecap:round}.line.canary{stroke:#b45309}.line.stable{stroke:#1d5fa8}
.line.limit{stroke:#b3261e;stroke-dasharray:6 4}.line.intended{stroke:#5d5a54;stroke-dasharray:6 4}
rect.canary{fill:#b45309}rect.stable{fill:#1d5fa8}
table{border-collapse:collapse;width:100%;margin:8px 0 16px}caption{text-align:left;color:#5d5a54;padding:4px 0}
th,td{text-align:right;padding:3px 8px;border-bottom:1px solid #dedbd4;font-variant-numeric:tabular-nums}
th:first-child{text-align:left}tbody th{white-space:nowrap;font-weight:400}figure{margin:8px 0 0}td:last-child,th:last-child{text-align:left}.bad td:last-child{color:#b3261e;font-weight:600}
footer{margin-top:2em;color:#5d5a54;font-size:.9em;border-top:1px solid #dedbd4;padding-top:8px}`;

function header({ at, requestedAtMs, requestedBy, reason, policy, canary, stable }: DashboardInput): Markup {
  const facts: [string, string][] = [
    ['as of', `record ${at.seq}, ${at.time}, ${at.type}`],
    ['which says', at.says],
    ['versions', `${canary} (canary) against ${stable} (stable)`],
    ['requested', `${new Date(requestedAtMs).toISOString()} by ${requestedBy}: ${reason}`],
    ['policy', policy],
  ];
  const shown = facts.filter(([, value]) => value !== '');
  return html`<dl>${lines(shown.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`))}</dl>`;
}

function errorPanel({ points, steps, limits, canary, stable }: DashboardInput): Markup {
  if (points.length === 0) return NO_LOOKS;
  const chart = lineChart({
    summary: `Share of failed requests over time: ${canary}, ${stable} and the limit in force.`,
    timesMs: points.map(({ atMs }) => atMs),
    format: (value) => formatShare(value, 2),
    lines: [
      { label: `${canary} (canary)`, name: 'canary', values: trend(points, (point) => point.canary) },
      { label: `${stable} (stable)`, name: 'stable', values: trend(points, (point) => point.stable) },
      {
        label: 'limit',
        name: 'limit',
        stepped: true,
        values: points.map(({ step }) => limits[step]?.errorShare ?? null),
      },
    ],
  });
  const rows = steps.map((one): TableRow => {
    const limit = limits[one.step]?.errorShare ?? null;
    const share = one.canary.requests === 0 ? null : one.canary.errors / one.canary.requests;
    const isOver = limit !== null && share !== null && share > limit;
    const cells = [
      nameOf(one),
      ...armCells(one.canary),
      ...armCells(one.stable),
      limit === null ? '–' : shareText(limit),
    ];
    return { cells: [...cells, judged(share, limit, isOver)], ...(isOver && { tone: 'bad' as const }) };
  });
  const head = [
    'step',
    'canary failed',
    'share (95 % interval)',
    'stable failed',
    'share (95 % interval)',
    'limit',
    '',
  ];
  return lines([chart, htmlTable('Failed requests per step', head, rows)]);
}

function armCells({ requests, errors }: Arm): [string, string] {
  if (requests === 0) return ['no requests', '–'];
  const { low, high } = wilson95(errors, requests);
  const interval = `${shareText(errors / requests)} (${shareText(low)} to ${shareText(high)})`;
  return [`${formatCount(errors)} of ${formatCount(requests)}`, interval];
}

function judged(measured: number | null, limit: number | null, isOver: boolean): string {
  if (measured === null) return 'nothing measured';
  if (limit === null) return 'no limit';
  return isOver ? 'OVER the limit' : 'under the limit';
}

/** Failed share over the last points of the same step; null where nothing was counted. */
function trend(points: LookPoint[], arm: (point: LookPoint) => Arm): (number | null)[] {
  return ratio(
    points,
    (point) => arm(point).errors,
    (point) => arm(point).requests,
  );
}

function ratio(points: LookPoint[], part: (point: LookPoint) => number, whole: (point: LookPoint) => number) {
  return points.map((point, index) => {
    if (whole(point) === 0) return null;
    const last = points
      .slice(Math.max(0, index - SMOOTH_POINTS + 1), index + 1)
      .filter((one) => one.step === point.step);
    const all = last.reduce((sum, one) => sum + whole(one), 0);
    return last.reduce((sum, one) => sum + part(one), 0) / all;
  });
}

function latencyPanel({ steps, limits, canary, stable }: DashboardInput): Markup {
  const seen = steps.filter(({ latency }) => latency.canary.requests + latency.stable.requests > 0);
  if (seen.length === 0) return NO_LOOKS;
  const drawn = seen.slice(-MAX_HISTOGRAMS).map((one) => histogram(one, canary, stable));
  const rows = seen.flatMap((one) => QUANTILES.map((quantile) => latencyRow(one, quantile, limits[one.step])));
  const table = htmlTable(
    'Quantiles per step, interpolated within the bins in which the gateway counts',
    ['step', 'quantile', `${canary} (canary)`, `${stable} (stable)`, 'limit', ''],
    rows,
  );
  return lines([...drawn, table]);
}

function latencyRow(one: StepFigures, quantile: number, limits: StepLimits | undefined): TableRow {
  const { edgesMs, canary, stable } = one.latency;
  const at = (arm: LatencyCounts['canary']): number | null => quantileMs(edgesMs, arm.over, arm.requests, quantile);
  const [mine, theirs] = [at(canary), at(stable)];
  const limit = limits?.latency.find((each) => each.quantile === quantile)?.underMs ?? null;
  const isOver = limit !== null && mine !== null && mine > limit;
  const cells = [
    nameOf(one),
    `p${quantile * 100}`,
    msText(mine),
    msText(theirs),
    limit === null ? '–' : `< ${msText(limit)}`,
  ];
  return {
    cells: [...cells, limit === null ? '' : judged(mine, limit, isOver)],
    ...(isOver && { tone: 'bad' as const }),
  };
}

function histogram(one: StepFigures, canary: string, stable: string): Markup {
  const { edgesMs } = one.latency;
  const bins = { canary: binsOf(one.latency, 'canary'), stable: binsOf(one.latency, 'stable') };
  const used = bins.canary.map((share, i) => share > 0 || (bins.stable[i] ?? 0) > 0);
  const first = Math.max(0, used.indexOf(true) - 1);
  const last = Math.min(used.length - 1, used.lastIndexOf(true) + 1);
  const names = [...edgesMs.map((edge) => `≤ ${msText(edge)}`), 'more'];
  const { requests } = one.latency.canary;
  const caption = `${nameOf(one)}: ${formatCount(requests)} requests to ${canary}, ${formatCount(one.latency.stable.requests)} to ${stable}`;
  const chart = barChart({
    summary: `Latency distribution, ${caption}.`,
    bins: names.slice(first, last + 1),
    series: [
      { name: 'stable', shares: bins.stable.slice(first, last + 1) },
      { name: 'canary', shares: bins.canary.slice(first, last + 1) },
    ],
  });
  return html`<figure><figcaption>${caption}</figcaption>\n${chart}</figure>`;
}

function binsOf({ edgesMs, ...arms }: LatencyCounts, arm: 'canary' | 'stable'): number[] {
  const { requests, over } = arms[arm];
  const counts = edgesMs.map((_, i) => (i === 0 ? requests : (over[i - 1] ?? 0)) - (over[i] ?? 0));
  return [...counts, over.at(-1) ?? 0].map((count) => (requests === 0 ? 0 : count / requests));
}

function splitPanel({ points, steps, canary }: DashboardInput): Markup {
  if (points.length === 0) return NO_LOOKS;
  const chart = lineChart({
    summary: `Share of requests that ${canary} got over time, intended and measured.`,
    timesMs: points.map(({ atMs }) => atMs),
    format: (value) => formatShare(value, 0),
    max: 1,
    lines: [
      { label: 'intended', name: 'intended', stepped: true, values: points.map(({ weightBp }) => weightBp / 10_000) },
      {
        label: 'measured',
        name: 'canary',
        values: ratio(
          points,
          (point) => point.canary.requests,
          (point) => point.canary.requests + point.stable.requests,
        ),
      },
    ],
  });
  const head = ['step', 'intended', 'canary requests', 'of', 'measured (95 % interval)', ''];
  return lines([chart, htmlTable('Requests per step', head, steps.map(splitRow))]);
}

function splitRow(one: StepFigures): TableRow {
  const [mine, all] = [one.canary.requests, one.canary.requests + one.stable.requests];
  const intended = one.weightBp / 10_000;
  const start = [nameOf(one), formatWeightBp(one.weightBp), formatCount(mine), formatCount(all)];
  if (all === 0) return { cells: [...start, '–', 'nothing measured'] };
  const { low, high } = wilson95(mine, all);
  const chance = Z95 * Math.sqrt((intended * (1 - intended)) / all);
  const isOff = Math.abs(mine / all - intended) > Math.max(chance, SWITCH_SHARE);
  const measured = `${shareText(mine / all)} (${shareText(low)} to ${shareText(high)})`;
  return {
    cells: [...start, measured, isOff ? 'OUTSIDE the 95 % range' : 'as intended'],
    ...(isOff && { tone: 'bad' as const }),
  };
}

function footer({ steps, at, fromSeq }: DashboardInput): Markup {
  const looks = steps.reduce((sum, one) => sum + one.looks, 0);
  const blind = steps.reduce((sum, one) => sum + one.blind, 0);
  const says = [
    `Drawn from the ${formatCount(looks)} looks in the records release.observed between ${fromSeq} and ${at.seq} of the ledger`,
    blind === 0 ? '.' : `; ${formatCount(blind)} of them saw nothing and are gaps in the lines.`,
    ` Lines show the mean of ${SMOOTH_POINTS} neighbouring points, tables every request. All times are UTC. Intervals: Wilson, 95 %.`,
  ];
  return html`<footer>${says.join('')}</footer>`;
}

const NO_LOOKS = html`<p>Nothing was measured: no request had reached the canary when this was drawn.</p>`;

function nameOf({ step, weightBp, looks }: StepFigures): string {
  return `step ${step + 1} at ${formatWeightBp(weightBp)} (${formatCount(looks)} looks)`;
}

function shareText(share: number): string {
  return formatShare(share, 2);
}

function msText(ms: number | null): string {
  if (ms === null) return '–';
  return ms >= 10_000 ? formatDurationMs(Math.round(ms / 100) * 100) : `${Number(ms.toPrecision(3))} ms`;
}
