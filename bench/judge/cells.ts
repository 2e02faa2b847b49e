import {
  correlated,
  latency,
  limitAlarm,
  promotion,
  race,
  type Sample,
  splitAlarm,
  type Tuned,
  tuning,
  validity,
} from './experiments.ts';
import type { WorldSettings } from './world.ts';

const HOUR = 3600;
const DAY = 24 * HOUR;
const THREE_DAYS = 72 * HOUR;

/** One cell of a table: a title, and one run from a seed. `tuneOn` names the tuning cell whose thresholds it takes. */
export interface Cell {
  title: string;
  run(seed: number, tuned: Tuned | null): Sample;
  tuneOn?: string;
  /** Runs relative to the number asked for: dear cells run less often. */
  portion?: number;
  /** Where the harm begins, seconds. */
  onset?: number;
}

export type Table =
  | 'tuning'
  | 'validity'
  | 'healthy'
  | 'detection'
  | 'fast-looks'
  | 'latency'
  | 'correlated'
  | 'promotion'
  | 'split';

const HEALTHY: [string, WorldSettings][] = [
  ['1 rps, 0.1 %', { rps: 1, base: 0.001 }],
  ['10 rps, 0.1 %', { rps: 10, base: 0.001 }],
  ['100 rps, 0.1 %', { rps: 100, base: 0.001 }],
  ['1000 rps, 0.01 %', { rps: 1000, base: 0.0001 }],
  ['1000 rps, 0.5 %', { rps: 1000, base: 0.005 }],
  ['100 rps, 0.8 %', { rps: 100, base: 0.008 }],
  ['100 rps, 0.1 %, 1 shared incident a day', { rps: 100, base: 0.001, scenario: 'incident' }],
];

const HARM: [number, number, string, number][] = [
  [100, 0.001, '0.2%', 0],
  [100, 0.001, '0.2%', 12],
  [100, 0.001, '0.5%', 0],
  [100, 0.001, '0.5%', 12],
  [100, 0.001, '2%', 0],
  [100, 0.001, '2%', 12],
  [100, 0.001, '10%', 0],
  [100, 0.001, '50%', 0],
  [1000, 0.0001, '0.05%', 0],
  [1000, 0.005, '0.75%', 0],
  [10, 0.001, '2%', 12],
  [10, 0.001, '10%', 0],
  [1, 0.001, '10%', 0],
];

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
const settingName = (rps: number, base: number): string => `${rps} rps, ${percent(base)}`;

function detection(): Cell[] {
  return HARM.map(([rps, base, errors, hours]) => ({
    title: `${rps} rps, ${percent(base)} → ${errors.replace('%', ' %')} at ${hours} h`,
    onset: hours * HOUR,
    tuneOn: settingName(rps, base),
    portion: 0.6,
    run: (seed, tuned) =>
      race({ rps, base, scenario: `errors:${errors}@${hours}h` }, tuned, hours * HOUR + DAY, 30, seed),
  }));
}

function fastLooks(): Cell[] {
  const cells: [number, string][] = [
    [100, '50%'],
    [1000, '50%'],
    [100, '10%'],
    [100, '2%'],
  ];
  return cells.map(([rps, errors]) => ({
    title: `${rps} rps, 0.1 % → ${errors.replace('%', ' %')}, 1 s looks`,
    onset: 0,
    run: (seed) => race({ rps, base: 0.001, scenario: `errors:${errors}` }, null, 1800, 1, seed),
  }));
}

function latencyCells(): Cell[] {
  const healthy: Cell[] = [10, 100, 1000].map((rps) => ({
    title: `${rps} rps, healthy, 72 h`,
    portion: 0.2,
    run: (seed) => latency({ rps, base: 0.001 }, THREE_DAYS, seed),
  }));
  const harmed: [number, string][] = [
    [100, 'latency:+10%'],
    [100, 'latency:+25%'],
    [100, 'latency:+50%'],
    [100, 'latency:x4'],
    [10, 'latency:+50%'],
  ];
  const found: Cell[] = harmed.map(([rps, scenario]) => ({
    title: `${rps} rps, ${scenario.slice('latency:'.length).replace('%', ' %')}`,
    onset: 0,
    portion: 0.4,
    run: (seed) => latency({ rps, base: 0.001, scenario }, DAY, seed),
  }));
  return [...healthy, ...found];
}

function correlatedCells(): Cell[] {
  const cells: [string, string, number][] = [
    ['independent', 'healthy', THREE_DAYS],
    ['bursts, mean 5 errors on one instance', 'bursts:5', THREE_DAYS],
    ['bursts, mean 20', 'bursts:20', THREE_DAYS],
    ['hiccups: 2 min at 50 %, one a day and instance', 'hiccups:1', THREE_DAYS],
    ['harm: twice the errors on every instance', 'errors:0.4%@1h', DAY],
    ['harm: 5 % on every instance', 'errors:5%@1h', DAY],
    ['harm: 50 % on every instance', 'errors:50%@1h', DAY],
  ];
  return cells.map(([title, scenario, seconds]) => ({
    title,
    portion: 0.2,
    ...(scenario.startsWith('errors') ? { onset: HOUR } : {}),
    run: (seed: number) => correlated({ rps: 100, base: 0.002, scenario }, seconds, seed),
  }));
}

function promotionCells(): Cell[] {
  const settings: [number, number][] = [
    [1, 0.001],
    [10, 0.001],
    [100, 0.0001],
    [100, 0.001],
    [100, 0.005],
    [1000, 0.001],
  ];
  const harms: [number, string][] = [
    [0, 'healthy'],
    [1, 'exactly at the margin'],
    [2, 'twice the margin'],
  ];
  return settings.flatMap(([rps, base]) =>
    harms.map(([harm, name]) => ({
      title: `${settingName(rps, base)}: ${name}`,
      run: (seed: number) => promotion({ rps, base }, harm, DAY, seed),
    })),
  );
}

function splitCells(): Cell[] {
  const shares = [0.1, 0.11, 0.12, 0.15, 0.2, 0.3, 0.05, 0.02].map((actual) => ({
    title: `100 rps, 10 % configured, ${percent(actual)} received`,
    portion: 0.5,
    run: (seed: number) => splitAlarm(100, actual, actual === 0.1 || actual === 0.11 ? THREE_DAYS : DAY, seed),
  }));
  const limits = [0.01, 0.015, 0.02, 0.05].map((errors) => ({
    title: `limit 1 %, 10 canary rps, really ${percent(errors)}`,
    portion: 0.5,
    run: (seed: number) => limitAlarm(100, errors, errors === 0.01 ? THREE_DAYS : DAY, seed),
  }));
  return [...shares, ...limits];
}

function validityCells(): Cell[] {
  const equal: [string, WorldSettings][] = HEALTHY.slice(1, 5);
  const tolerance: WorldSettings[] = [0.0001, 0.001, 0.005].map((base) => ({ rps: 100, base }));
  const cell = (title: string, settings: WorldSettings, at: 'equal' | 'tolerance' | 'margin'): Cell => ({
    title,
    run: (seed) => validity(settings, at, THREE_DAYS, seed),
  });
  return [
    ...equal.map(([title, settings]) => cell(`equal: ${title}`, settings, 'equal')),
    ...tolerance.map((settings) =>
      cell(`exactly at the tolerance: 100 rps, ${percent(settings.base)}`, settings, 'tolerance'),
    ),
    ...tolerance.map((settings) =>
      cell(`promotion, exactly at the margin: 100 rps, ${percent(settings.base)}`, settings, 'margin'),
    ),
  ];
}

const TUNING: Cell[] = [...new Set(HARM.map(([rps, base]) => settingName(rps, base)))].map((title) => {
  const [rps, base] = HARM.find(([r, b]) => settingName(r, b) === title)!;
  return { title, run: (seed) => tuning({ rps, base }, seed + 1e6) };
});

export const CELLS: Record<Table, Cell[]> = {
  tuning: TUNING,
  validity: validityCells(),
  healthy: HEALTHY.map(([title, settings]) => ({ title, run: (seed) => race(settings, null, THREE_DAYS, 30, seed) })),
  detection: detection(),
  'fast-looks': fastLooks(),
  latency: latencyCells(),
  correlated: correlatedCells(),
  promotion: promotionCells(),
  split: splitCells(),
};
