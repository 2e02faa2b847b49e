import { parseDurationMs, parseShare } from '../lib/units.ts';
import { chaosDefaults as d } from './chaos-defaults.ts';
import type { ChaosSpec, ExperimentSpec, FaultSpec, ProbeSpec, ScheduleSpec } from './chaos-model.ts';
import { probeQuantiles, type RawChaos } from './schema/chaos.ts';

export type RawExperiment = RawChaos['experiments'][string];
type RawProbe = RawExperiment['probes'][number];

/** The chaos section with its defaults filled in and its units as numbers. */
export function normaliseChaos(raw: RawChaos): ChaosSpec {
  return {
    limits: {
      instancesShare: share(raw.limits?.instances ?? d.limits.instances),
      requestsShare: share(raw.limits?.requests ?? d.limits.requests),
      minHealthy: raw.limits?.minHealthy ?? d.limits.minHealthy,
    },
    freeze: (raw.freeze ?? []).map(({ from, to, why }) => ({
      fromMs: Date.parse(from),
      toMs: Date.parse(to),
      why: why ?? 'freeze',
    })),
    experiments: Object.fromEntries(
      Object.entries(raw.experiments).map(([name, experiment]) => [name, normaliseExperiment(name, experiment)]),
    ),
  };
}

export function normaliseExperiment(name: string, raw: RawExperiment): ExperimentSpec {
  return {
    name,
    hypothesis: raw.hypothesis,
    probes: raw.probes.map(probeOf),
    fault: faultOf(raw.fault),
    scope: {
      service: raw.scope.service,
      version: raw.scope.version ?? null,
      instances: raw.scope.instances ?? null,
      zone: raw.scope.zone ?? null,
      share: share(raw.scope.share ?? d.share),
    },
    durationMs: ms(raw.for),
    steadyMs: ms(raw.steady ?? d.steady),
    stopErrorShare: raw.stop === undefined ? null : share(raw.stop),
    detectWithinMs: raw.detect === undefined ? null : ms(raw.detect),
    recoverWithinMs: ms(raw.recover ?? d.recover),
    schedule: scheduleOf(raw),
    duringRelease: raw.duringRelease ?? false,
  };
}

function probeOf(raw: RawProbe): ProbeSpec {
  if (raw.http !== undefined) {
    return {
      kind: 'http',
      name: raw.name,
      url: raw.http,
      status: raw.status ?? null,
      underMs: raw.under === undefined ? null : ms(raw.under),
      goodShare: share(raw.good ?? d.probe.good),
      everyMs: ms(raw.every ?? d.probe.every),
    };
  }
  const names = Object.keys(probeQuantiles) as (keyof typeof probeQuantiles)[];
  return {
    kind: 'gateway',
    name: raw.name,
    service: raw.gateway ?? '',
    errorShare: raw.errors === undefined ? null : share(raw.errors),
    latency: names.flatMap((name) => {
      const underMs = raw[name];
      return underMs === undefined ? [] : [{ quantile: probeQuantiles[name], underMs: ms(underMs) }];
    }),
    minRequests: raw.minRequests ?? d.probe.minRequests,
  };
}

function faultOf(raw: RawExperiment['fault']): FaultSpec {
  if (raw.delay !== undefined) return { kind: 'delay', delayMs: ms(raw.delay) };
  if (raw.abort !== undefined) return { kind: 'abort', status: raw.abort };
  if (raw.bandwidth !== undefined) return { kind: 'bandwidth', bytesPerSecond: raw.bandwidth };
  if (raw.blackhole) return { kind: 'blackhole' };
  if (raw.kill) return { kind: 'kill' };
  if (raw.pause) return { kind: 'pause' };
  return { kind: 'dependency-down' };
}

function scheduleOf(raw: RawExperiment): ScheduleSpec | null {
  if (raw.every !== undefined) return { kind: 'every', everyMs: ms(raw.every) };
  return raw.schedule === undefined ? null : { kind: 'cron', cron: raw.schedule };
}

/** The schema has checked the notation; anything else is a defect of the schema. */
function ms(text: string): number {
  return known(parseDurationMs(text), text);
}

function share(text: string): number {
  return known(parseShare(text), text);
}

function known(value: number | null, text: string): number {
  if (value === null) throw new TypeError(`${text} passed the schema but has no value`);
  return value;
}
