import { html, type Markup, lines as stacked } from '../lib/outside-text/markup.ts';
import { clip } from '../lib/outside-text/visible.ts';

/** A line over time. Values are null where nothing was measured: the line has a gap there. */
export interface ChartLine {
  label: string;
  /** Class of the style sheet, which gives the colour: `canary`, `stable`, `limit`, `intended`. */
  name: string;
  /** Steps instead of slopes: weights and limits do not glide. */
  stepped?: boolean;
  values: (number | null)[];
}

export interface LineChart {
  /** The same in words, for those who do not see it. */
  summary: string;
  /** Milliseconds since the epoch, ascending; as many as every line has values. */
  timesMs: number[];
  lines: ChartLine[];
  /** Text of a value on the axis. */
  format: (value: number) => string;
  /** Top of the axis; the highest value and a tenth more unless given. */
  max?: number;
}

const WIDTH = 900;
const HEIGHT = 240;
const LEFT = 64;
const RIGHT = 12;
const TOP = 26;
const BOTTOM = 26;
const Y_TICKS = 4;
const X_TICKS = 5;

/** A time chart as SVG: static, with its numbers as text. */
export function lineChart(chart: LineChart): Markup {
  const { timesMs, lines } = chart;
  const [from, to] = [timesMs[0] ?? 0, timesMs.at(-1) ?? 0];
  const top = chart.max ?? Math.max(1e-6, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0))) * 1.1;
  const x = (ms: number): number => LEFT + ((ms - from) / Math.max(1, to - from)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (Math.min(value, top) / top) * (HEIGHT - TOP - BOTTOM);
  return stacked([
    html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${chart.summary}">`,
    ...gridLines(top, y, chart.format),
    ...timeLabels(from, to, x),
    ...lines.map((line) => html`<path class="line ${line.name}" d="${pathOf(line, timesMs, x, y)}"/>`),
    ...legend(lines),
    html`</svg>`,
  ]);
}

function gridLines(top: number, y: (value: number) => number, format: (value: number) => string): Markup[] {
  return Array.from({ length: Y_TICKS + 1 }, (_, i) => (top * i) / Y_TICKS).map((value) => {
    const at = px(y(value));
    return html`<path class="grid" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/><text class="left" x="${LEFT - 6}" y="${at}">${format(value)}</text>`;
  });
}

function timeLabels(from: number, to: number, x: (ms: number) => number): Markup[] {
  if (to <= from) return [];
  const isLong = to - from > 86_400_000;
  return Array.from({ length: X_TICKS + 1 }, (_, i) => from + ((to - from) * i) / X_TICKS).map((ms, i) => {
    const iso = new Date(ms).toISOString();
    const anchor = i === 0 ? 'start' : i === X_TICKS ? 'end' : 'middle';
    return html`<text text-anchor="${anchor}" x="${px(x(ms))}" y="${HEIGHT - 8}">${isLong ? iso.slice(5, 16).replace('T', ' ') : iso.slice(11, 19)}</text>`;
  });
}

function pathOf(
  { values, stepped }: ChartLine,
  timesMs: number[],
  x: (ms: number) => number,
  y: (value: number) => number,
): string {
  let path = '';
  let drawing = false;
  for (const [i, value] of values.entries()) {
    if (value === null) {
      drawing = false;
      continue;
    }
    const [px0, py0] = [px(x(timesMs[i] ?? 0)), px(y(value))];
    if (!drawing) path += `M${px0} ${py0}h0`;
    else path += stepped ? `H${px0}V${py0}` : `L${px0} ${py0}`;
    drawing = true;
  }
  return path;
}

function legend(lines: ChartLine[]): Markup[] {
  let at = LEFT;
  return lines.map(({ label, name }) => {
    const text = label.length > 40 ? `${clip(label, 39)}…` : label;
    const mark = html`<path class="line ${name}" d="M${at} 12h18"/><text x="${at + 23}" y="16">${text}</text>`;
    at += 45 + 7 * text.length;
    return mark;
  });
}

export interface Bars {
  summary: string;
  /** Texts under the bins. */
  bins: string[];
  /** One group of bars per bin: a share of all for each series, in the order of `names`. */
  series: { name: string; shares: number[] }[];
}

/** Two distributions over the same bins, side by side. */
export function barChart({ summary, bins, series }: Bars): Markup {
  const height = 150;
  const floor = height - 22;
  const top = Math.max(1e-9, ...series.flatMap(({ shares }) => shares));
  const width = (WIDTH - LEFT - RIGHT) / Math.max(1, bins.length);
  const bar = (width * 0.84) / Math.max(1, series.length);
  const every = Math.ceil(bins.length / 10);
  const rects = series.flatMap(({ name, shares }, s) =>
    shares.flatMap((share, i) => {
      const tall = (share / top) * (floor - 8);
      if (tall <= 0) return [];
      const left = LEFT + i * width + width * 0.08 + s * bar;
      return [
        html`<rect class="${name}" x="${px(left)}" y="${px(floor - tall)}" width="${px(bar)}" height="${px(tall)}"/>`,
      ];
    }),
  );
  const labels = bins.flatMap((text, i) =>
    i % every === 0
      ? [html`<text text-anchor="middle" x="${px(LEFT + (i + 0.5) * width)}" y="${height - 6}">${text}</text>`]
      : [],
  );
  return stacked([
    html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${summary}">`,
    html`<path class="grid" d="M${LEFT} ${floor}H${WIDTH - RIGHT}"/>`,
    ...rects,
    ...labels,
    html`</svg>`,
  ]);
}

/** A tenth of a unit is finer than a pixel. */
function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}
