import type { Literal } from './js-literal.ts';
import { excerpt, FieldReader, type Fields, type K6Report, textOf } from './k6-fields.ts';
import type { LoadStage } from './plan.ts';

/** Arrivals of one scenario in a stretch of time; the rate goes in a straight line. */
interface Stretch extends LoadStage {
  startMs: number;
}

/** One scenario that sends by the clock. */
interface Arrivals {
  stretches: Stretch[];
  /** The greatest number of iterations at once; null when the scenario does not say. */
  maxVus: number | null;
}

const common = ['executor', 'startTime', 'gracefulStop', 'env', 'exec', 'tags', 'options'] as const;
const ownFields: ReadonlyMap<string, readonly string[]> = new Map([
  ['constant-arrival-rate', ['rate', 'timeUnit', 'duration', 'preAllocatedVUs', 'maxVUs']],
  ['ramping-arrival-rate', ['startRate', 'timeUnit', 'stages', 'preAllocatedVUs', 'maxVUs']],
]);
/** Those without an effect on when requests are sent. */
const idle = ['gracefulStop', 'env', 'exec', 'tags', 'options'] as const;

/** All scenarios at once, as stages that follow one another; null without any that sends by the clock. */
export function scenariosLoad(
  scenarios: Fields,
  report: K6Report,
): { stages: LoadStage[]; maxVus: number | null } | null {
  const read = [...scenarios.entries].flatMap(([name, literal]) => readScenario(name, literal, report) ?? []);
  for (const { at, text } of scenarios.unreadable)
    report.differs(at, `scenarios: ${excerpt(text)} has to be run to be known`);
  const functions = new Set(
    [...scenarios.entries.values()].map((one) => (one.kind === 'object' ? textOf(one, 'exec') : null)),
  );
  if (functions.size > 1) {
    report.differs(
      scenarios.at,
      'the scenarios run different functions, and here every request is one of the same targets',
    );
  }
  if (read.length === 0) return null;
  const vus = read.map((one) => one.maxVus);
  const maxVus = vus.includes(null) ? null : vus.reduce<number>((sum, count) => sum + count!, 0);
  if (read.length > 1 && maxVus !== null) {
    report.note(
      `preAllocatedVUs, maxVUs: at most ${maxVus} requests at once for all scenarios together; k6 keeps them apart`,
    );
  }
  return { stages: sumOf(read.flatMap((one) => one.stretches)), maxVus };
}

function readScenario(name: string, literal: Literal, report: K6Report): Arrivals | null {
  const place = `scenarios.${name}`;
  if (literal.kind !== 'object') {
    report.differs(literal.at, `${place} is no object that can be read`);
    return null;
  }
  const executor = textOf(literal, 'executor');
  const own = ownFields.get(executor ?? '');
  if (own === undefined) {
    const found =
      executor === null ? 'has no executor that can be read' : `${executor} waits for answers (a closed model)`;
    report.differs(
      literal.at,
      `${place}: ${found}; constant-arrival-rate and ramping-arrival-rate send by the clock, as Davy does`,
    );
    return null;
  }
  const reader = new FieldReader(place, literal, report);
  reader.refuseUnknown([...common, ...own]);
  for (const field of idle)
    if (literal.entries.has(field)) report.note(`${place}.${field} has no effect on when requests are sent`);
  const startMs = reader.durationMs('startTime', 0);
  const unitMs = reader.durationMs('timeUnit', 1_000);
  if (unitMs === 0) report.differs(literal.at, `${place}.timeUnit is 0`);
  const perSecond = (count: number): number => (count * 1_000) / Math.max(1, unitMs);
  const stages = executor === 'constant-arrival-rate' ? constantStages(reader) : rampingStages(reader);
  const maxVus = vusOf(reader);
  let atMs = startMs;
  const stretches = stages.map(({ from, to, durationMs }): Stretch => {
    const startsMs = atMs;
    atMs += durationMs;
    return { startMs: startsMs, fromPerSecond: perSecond(from), toPerSecond: perSecond(to), durationMs };
  });
  return { stretches, maxVus };
}

interface CountStage {
  from: number;
  to: number;
  durationMs: number;
}

function constantStages(reader: FieldReader): CountStage[] {
  const rate = reader.count('rate', null);
  return [{ from: rate, to: rate, durationMs: reader.durationMs('duration', null) }];
}

function rampingStages(reader: FieldReader): CountStage[] {
  let from = reader.count('startRate', 0);
  return reader.list('stages').map((stage) => {
    stage.refuseUnknown(['duration', 'target']);
    const to = stage.count('target', null);
    const durationMs = stage.durationMs('duration', null);
    const read = { from, to, durationMs };
    from = to;
    return read;
  });
}

/** k6 sends nothing for which no virtual user is free, and counts it as dropped. */
function vusOf(reader: FieldReader): number | null {
  if (!reader.has('preAllocatedVUs') && !reader.has('maxVUs')) return null;
  const allocated = reader.has('preAllocatedVUs') ? reader.count('preAllocatedVUs', null) : 0;
  return Math.max(1, reader.has('maxVUs') ? reader.count('maxVUs', null) : allocated);
}

/** The sum of rates that go in straight lines does so as well between the places where one of them begins, bends or ends. */
function sumOf(stretches: readonly Stretch[]): LoadStage[] {
  const edges = [0, ...stretches.flatMap(({ startMs, durationMs }) => [startMs, startMs + durationMs])];
  const times = [...new Set(edges)].sort((a, b) => a - b);
  return times.slice(1).map((endMs, i) => {
    const startMs = times[i]!;
    const there = stretches.filter((one) => one.startMs <= startMs && one.startMs + one.durationMs >= endMs);
    const sumAt = (atMs: number): number => there.reduce((sum, one) => sum + rateAt(one, atMs), 0);
    return { fromPerSecond: sumAt(startMs), toPerSecond: sumAt(endMs), durationMs: endMs - startMs };
  });
}

function rateAt({ startMs, durationMs, fromPerSecond, toPerSecond }: Stretch, atMs: number): number {
  return fromPerSecond + ((toPerSecond - fromPerSecond) * (atMs - startMs)) / durationMs;
}
