import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { quantileMs } from '../../metrics/quantile.ts';
import type { CounterSnapshot, InstanceCounters, ServiceCounters } from '../../metrics/source.ts';
import type { Spec } from '../../spec/model.ts';
import type { ServerContext } from '../context.ts';

/** A reading younger than this is shared between readers. */
const FRESH_MS = 900;
const WINDOW_MS = 10_000;
const MAX_READINGS = 16;

const flow = {
  perSecond: z.number(),
  errorShare: z.number().nullable().describe('5xx, timeouts and resets; null without requests.'),
  p50Ms: z.number().nullable(),
  p95Ms: z.number().nullable(),
  p99Ms: z.number().nullable(),
};

const trafficSchema = z.object({
  atMs: z.number().nullable(),
  windowMs: z.number().describe('What the rates cover; 0 until there are two readings.'),
  problem: z.string().nullable(),
  services: z.array(
    z.object({
      service: z.string(),
      ...flow,
      versions: z.array(
        z.object({
          version: z.string(),
          ...flow,
          weightedShare: z.number().nullable().describe('Measured share of the weighted cohort.'),
          instances: z.array(z.object({ instance: z.string(), ...flow })),
        }),
      ),
      own: z.object({ limiter: z.number(), breaker: z.number(), injected: z.number(), noUpstream: z.number() }),
    }),
  ),
  calls: z
    .array(z.object({ from: z.string(), to: z.string() }))
    .describe('Who is declared to call whom: an environment value of the caller holds the port of the other.'),
});

export type TrafficDoc = z.infer<typeof trafficSchema>;

/** Rates, errors and latency by service, version and instance, from the data plane's own counts. */
export function trafficRoutes({ spec, counters, clock }: ServerContext): FastifyPluginAsyncZod {
  let readings: { readMs: number; snapshot: CounterSnapshot }[] = [];
  let reading: Promise<string | null> | null = null;

  async function read(): Promise<string | null> {
    try {
      const snapshot = await counters();
      const newest = readings.at(-1)?.snapshot;
      if (newest && newest.bootId !== snapshot.bootId) readings = [];
      readings = [...readings, { readMs: clock.monoMs(), snapshot }].slice(-MAX_READINGS);
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : 'The data plane cannot be read.';
    }
  }

  return async (app) => {
    app.get(
      '/api/v1/traffic',
      {
        schema: {
          summary: 'Measured traffic of the last seconds',
          tags: ['traffic'],
          response: { 200: trafficSchema },
        },
      },
      async () => {
        const newest = readings.at(-1);
        let problem: string | null = null;
        if (!newest || clock.monoMs() - newest.readMs > FRESH_MS) {
          reading ??= read().finally(() => {
            reading = null;
          });
          problem = await reading;
        }
        const after = problem === null ? readings.at(-1) : undefined;
        const before = readings.find((one) => after && after.readMs - one.readMs <= WINDOW_MS);
        return { ...between(before?.snapshot, after?.snapshot), problem, calls: declaredCalls(spec) };
      },
    );
  };
}

function between(
  before: CounterSnapshot | undefined,
  after: CounterSnapshot | undefined,
): Omit<TrafficDoc, 'problem' | 'calls'> {
  if (!before || !after || before === after) return { atMs: after?.atMs ?? null, windowMs: 0, services: [] };
  const windowMs = after.monoMs - before.monoMs;
  return {
    atMs: after.atMs,
    windowMs,
    services: after.services.map((now) => {
      const then = before.services.find((one) => one.service === now.service);
      return serviceFlow(then, now, windowMs);
    }),
  };
}

interface Sum {
  requests: number;
  errors: number;
  over: number[];
}

function serviceFlow(then: ServiceCounters | undefined, now: ServiceCounters, windowMs: number) {
  const changes = now.instances.map((counters) => ({
    counters,
    change: changeOf(
      then?.instances.find((old) => sameSeries(old, counters)),
      counters,
    ),
  }));
  const toFlow = (some: typeof changes) => flowOf(total(some.map((one) => one.change)), now.edgesMs, windowMs);
  const weighted = changes.filter((one) => one.counters.cohort === 'weight');
  const weightedTotal = total(weighted.map((one) => one.change)).requests;
  const own = (name: 'limiter' | 'breaker' | 'injected' | 'noUpstream'): number =>
    ((now.own[name] - (then?.own[name] ?? 0)) * 1000) / windowMs;
  return {
    service: now.service,
    ...toFlow(changes),
    versions: unique(changes.map((one) => one.counters.version)).map((version) => {
      const mine = changes.filter((one) => one.counters.version === version);
      const share = total(weighted.filter((one) => one.counters.version === version).map((one) => one.change)).requests;
      return {
        version,
        ...toFlow(mine),
        weightedShare: weightedTotal > 0 ? share / weightedTotal : null,
        instances: unique(mine.map((one) => one.counters.instance)).map((instance) => ({
          instance,
          ...toFlow(mine.filter((one) => one.counters.instance === instance)),
        })),
      };
    }),
    own: { limiter: own('limiter'), breaker: own('breaker'), injected: own('injected'), noUpstream: own('noUpstream') },
  };
}

function sameSeries(a: InstanceCounters, b: InstanceCounters): boolean {
  return a.instance === b.instance && a.version === b.version && a.cohort === b.cohort;
}

function changeOf(then: InstanceCounters | undefined, now: InstanceCounters): Sum {
  const a = then?.outcome;
  const b = now.outcome;
  const errors = (c: typeof b): number => c.status5xx + c.timeouts + c.resets;
  return {
    requests: b.requests - (a?.requests ?? 0),
    errors: errors(b) - (a ? errors(a) : 0),
    over: b.over.map((count, edge) => count - (a?.over[edge] ?? 0)),
  };
}

function total(changes: Sum[]): Sum {
  const sum: Sum = { requests: 0, errors: 0, over: [] };
  for (const change of changes) {
    sum.requests += change.requests;
    sum.errors += change.errors;
    change.over.forEach((count, edge) => {
      sum.over[edge] = (sum.over[edge] ?? 0) + count;
    });
  }
  return sum;
}

function flowOf({ requests, errors, over }: Sum, edgesMs: number[], windowMs: number) {
  const at = (quantile: number): number | null => quantileMs(edgesMs, over, requests, quantile);
  return {
    perSecond: windowMs > 0 ? (requests * 1000) / windowMs : 0,
    errorShare: requests > 0 ? errors / requests : null,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
  };
}

function unique(names: string[]): string[] {
  return [...new Set(names)];
}

/** The gateway counts what a service receives, not who sent it; who calls whom is known from the spec alone. */
function declaredCalls(spec: Spec): { from: string; to: string }[] {
  const calls: { from: string; to: string }[] = [];
  const services = Object.values(spec.services);
  for (const from of services) {
    const values = Object.values(from.versions).flatMap((version) => Object.values(version.env));
    for (const to of services) {
      const port = new RegExp(`(127\\.0\\.0\\.1|localhost|\\[::1\\]):${to.listenPort}(?!\\d)`);
      if (to !== from && values.some((value) => port.test(value))) calls.push({ from: from.name, to: to.name });
    }
  }
  return calls;
}
