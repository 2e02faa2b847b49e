import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { CounterSnapshot, InstanceCounters, ServiceCounters } from '../../metrics/source.ts';
import type { ServerContext } from '../context.ts';
import { changeOf, declaredCalls, edgesBetween, flowOf, total } from '../flow.ts';

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
  edges: z
    .array(
      z.object({
        from: z.object({
          kind: z
            .enum(['service', 'external', 'unknown'])
            .describe('A service; a client that gave no name; a name that no service has.'),
          name: z.string(),
        }),
        to: z.string(),
        ...flow,
        lastAtMs: z.number().describe('Wall clock of the last answer on this edge.'),
      }),
    )
    .describe('Measured: who called whom since the data plane started, with the rates of the window.'),
  calls: z
    .array(z.object({ from: z.string(), to: z.string(), seen: z.boolean().describe('An edge was measured.') }))
    .describe('Who is declared to call whom: an environment value of the caller holds the port of the other.'),
});

export type TrafficDoc = z.infer<typeof trafficSchema>;

/** Rates, errors and latency by service, version and instance, from the data plane's own counts. */
export function trafficRoutes({ spec, counters, clock }: ServerContext): FastifyPluginAsyncZod {
  let readings: { readMs: number; snapshot: CounterSnapshot }[] = [];
  let reading: Promise<string | null> | null = null;
  let declared: { from: string; to: string }[] | null = null;

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
        const measured = between(before?.snapshot, after?.snapshot);
        const seen = new Set(
          measured.edges.map(({ from, to }) => (from.kind === 'service' ? `${from.name} ${to}` : '')),
        );
        declared ??= declaredCalls(spec);
        const calls = declared.map(({ from, to }) => ({ from, to, seen: seen.has(`${from} ${to}`) }));
        return { ...measured, problem, calls };
      },
    );
  };
}

function between(
  before: CounterSnapshot | undefined,
  after: CounterSnapshot | undefined,
): Omit<TrafficDoc, 'problem' | 'calls'> {
  if (!before || !after || before === after) return { atMs: after?.atMs ?? null, windowMs: 0, services: [], edges: [] };
  const windowMs = after.monoMs - before.monoMs;
  return {
    atMs: after.atMs,
    windowMs,
    services: after.services.map((now) => {
      const then = before.services.find((one) => one.service === now.service);
      return serviceFlow(then, now, windowMs);
    }),
    edges: edgesBetween(before, after, windowMs),
  };
}

function serviceFlow(then: ServiceCounters | undefined, now: ServiceCounters, windowMs: number) {
  const changes = now.instances.map((counters) => ({
    counters,
    change: changeOf(then?.instances.find((old) => sameSeries(old, counters))?.outcome, counters.outcome),
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

function unique(names: string[]): string[] {
  return [...new Set(names)];
}
