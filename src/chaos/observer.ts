import { type Clock, sleep } from '../lib/clock.ts';
import type { CounterSnapshot, MetricsSource } from '../metrics/source.ts';
import type { ExperimentSpec, HttpProbeSpec, ProbeSpec } from '../spec/chaos-model.ts';
import { joined, only, serviceDelta, startedBetween } from './counters.ts';
import {
  type Check,
  type Count,
  checksOf,
  gatewayCounts,
  judgeCheck,
  quantileOf,
  type ServiceDelta,
  sumCounts,
} from './observation.ts';

export interface ObserverParts {
  experiment: ExperimentSpec;
  /** Instances of the service that the fault leaves alone. */
  untouched: readonly string[];
  /** Whether an instance of the service is in the fault's scope. */
  isInScope: (instance: string, version: string) => boolean;
  metrics: MetricsSource;
  ask: (probe: HttpProbeSpec) => Promise<boolean>;
  clock: Clock;
}

/** What was seen in one stretch of time. */
export interface Segment {
  checks: Check[];
  /** The untouched instances; null without any, or without requests. */
  control: { p95Ms: number | null; requests: number; bad: number } | null;
  /** Requests to the service under fault, and failed ones. */
  scope: Count;
  /** First tries that were sent to what is in the fault's scope; null when the counters cannot tell. */
  sentInScope: number | null;
  /** The counters could not be read to its end. */
  blind: boolean;
}

interface OpenSegment {
  http: Map<string, Count>;
  deltas: Map<string, ServiceDelta[]>;
  /** What the instances under fault and their untouched neighbours did themselves. */
  firstTries: ServiceDelta[];
  sentInScope: (number | null)[];
}

/** Measures an experiment's probes, stretch by stretch. */
export interface Observer {
  /** Ends the stretch that began with the last cut and begins the next. */
  cut(): Promise<Segment>;
  close(): Promise<void>;
}

export function startObserver(parts: ObserverParts): Observer {
  const { experiment, clock } = parts;
  const closed = new AbortController();
  let open = emptySegment();
  let last: CounterSnapshot | null = null;
  let blind = false;
  const services = new Set([experiment.scope.service, ...gatewayServices(experiment.probes)]);

  /** An answer belongs to the stretch in which it was asked for: one that began in the fault must not spoil what follows. */
  async function askForEver(probe: HttpProbeSpec): Promise<void> {
    while (!closed.signal.aborted) {
      const segment = open;
      const good = await parts.ask(probe);
      const before = segment.http.get(probe.name) ?? { requests: 0, bad: 0 };
      segment.http.set(probe.name, { requests: before.requests + 1, bad: before.bad + (good ? 0 : 1) });
      await sleep(clock, probe.everyMs, closed.signal).catch(() => {});
    }
  }

  async function readCounters(): Promise<void> {
    const now = await parts.metrics.read().catch(() => null);
    for (const service of services) {
      const delta = last && now && serviceDelta(last, now, service);
      if (delta) open.deltas.set(service, [...(open.deltas.get(service) ?? []), delta]);
    }
    const firstTries = last && now && serviceDelta(last, now, experiment.scope.service, 'firstTry');
    if (firstTries) open.firstTries.push(firstTries);
    const sent = last && now && startedBetween(last, now, experiment.scope.service, parts.isInScope);
    open.sentInScope.push(sent);
    // Counters only grow: the next reading covers what happened meanwhile.
    if (now !== null) last = now;
    blind = now === null;
  }

  const loops = experiment.probes.flatMap((probe) => (probe.kind === 'http' ? [askForEver(probe)] : []));
  const ready = readCounters();

  return {
    async cut() {
      await ready;
      await readCounters();
      const segment = open;
      open = emptySegment();
      return { ...closeSegment(segment, parts), blind };
    },
    async close() {
      closed.abort();
      await Promise.all(loops);
    },
  };
}

function emptySegment(): OpenSegment {
  return { http: new Map(), deltas: new Map(), firstTries: [], sentInScope: [] };
}

function gatewayServices(probes: readonly ProbeSpec[]): string[] {
  return probes.flatMap((probe) => (probe.kind === 'gateway' ? [probe.service] : []));
}

function closeSegment(segment: OpenSegment, { experiment, untouched }: ObserverParts): Omit<Segment, 'blind'> {
  const deltaOf = (service: string): ServiceDelta | null => joined(segment.deltas.get(service) ?? []);
  const checks = experiment.probes.flatMap((probe) => {
    const counts = countsOf(probe, segment, deltaOf);
    return checksOf(probe).map((spec, i) => judgeCheck(spec, counts[i] ?? { requests: 0, bad: 0 }));
  });
  const scope = deltaOf(experiment.scope.service);
  const firstTries = joined(segment.firstTries);
  return {
    checks,
    control: firstTries && controlOf(only(firstTries, untouched)),
    scope: scope ? failures(scope) : nothing,
    sentInScope: sumOrNull(segment.sentInScope),
  };
}

/** Of no numbers, and of any that is unknown: unknown. */
function sumOrNull(parts: readonly (number | null)[]): number | null {
  if (parts.length === 0 || parts.includes(null)) return null;
  return parts.reduce<number>((sum, part) => sum + part!, 0);
}

const nothing: Count = { requests: 0, bad: 0 };

function countsOf(probe: ProbeSpec, segment: OpenSegment, deltaOf: (service: string) => ServiceDelta | null): Count[] {
  if (probe.kind === 'http') return [segment.http.get(probe.name) ?? nothing];
  const delta = deltaOf(probe.service);
  return delta ? gatewayCounts(probe, delta) : [];
}

function failures(delta: ServiceDelta): Count {
  return sumCounts(delta.instances.map((one) => ({ requests: one.requests, bad: one.errors })));
}

function controlOf(delta: ServiceDelta): Segment['control'] {
  const count = failures(delta);
  return count.requests === 0 ? null : { p95Ms: quantileOf(delta.edgesMs, delta.instances, 0.95), ...count };
}

/** Stretches that follow one another, judged as one. */
export function mergeChecks(stretches: readonly Check[][]): Check[] {
  const first = stretches[0] ?? [];
  return first.map((spec, i) => judgeCheck(spec, sumCounts(stretches.flatMap((checks) => checks[i] ?? []))));
}
