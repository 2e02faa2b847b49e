import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { localTime } from './format.ts';

export interface Line {
  label: string;
  /** A custom property of the style sheet: `--canary`. */
  color: string;
  dash?: number[];
  width?: number;
  /** Steps instead of slopes: weights and limits do not glide. */
  stepped?: boolean;
  values: (number | null)[];
}

/** A time chart. The canvas is drawn for eyes; `summary` says the same for those who listen. */
export function Chart(props: {
  /** Seconds since the epoch. */
  times: number[];
  lines: Line[];
  format: (value: number) => string;
  summary: string;
  log?: boolean;
  max?: number;
  height?: number;
}) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const shape = `${props.lines.map((line) => line.label).join('\n')}${props.log}${dark}`;
  const data = [props.times, ...props.lines.map((line) => line.values)] as uPlot.AlignedData;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = new uPlot(optionsOf(props, element), data, element);
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: props.height ?? 190 }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data));
  return (
    <figure class="chart" role="img" aria-label={props.summary}>
      <div ref={box} />
    </figure>
  );
}

function optionsOf(props: Parameters<typeof Chart>[0], element: HTMLElement): uPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  const axis = { stroke: color('--muted'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } };
  const font = `11px ${style.fontFamily}`;
  return {
    width: element.clientWidth,
    height: props.height ?? 190,
    cursor: { sync: { key: 'davy' }, drag: { x: false, y: false } },
    legend: { live: true },
    scales: {
      y: props.log ? { distr: 3, log: 10 } : { range: (_u, _min, max) => [0, props.max ?? Math.max(max * 1.1, 1e-6)] },
    },
    axes: [
      { ...axis, font, size: 30, values: (_u, ticks) => ticks.map((tick) => localTime(tick * 1000)), space: 70 },
      {
        ...axis,
        font,
        size: 58,
        values: (_u, ticks) => ticks.map((tick) => (tick === null ? '' : props.format(tick))),
      },
    ],
    series: [
      { label: 'time', value: (_u, value) => (value === null ? '' : localTime(value * 1000)) },
      ...props.lines.map((line) => ({
        label: line.label,
        stroke: color(line.color),
        width: line.width ?? 2,
        ...(line.dash ? { dash: line.dash } : {}),
        points: { show: false },
        spanGaps: false,
        ...(line.stepped && uPlot.paths.stepped ? { paths: uPlot.paths.stepped({ align: -1 }) } : {}),
        value: (_u: uPlot, value: number | null) => (value === null ? '–' : props.format(value)),
      })),
    ],
  };
}
