import { noOwnAnswers } from '../../src/gateway/stats/own-answers.ts';
import { type Clock, sleep } from '../../src/lib/clock.ts';
import type { CounterSnapshot, InstanceCounters, MetricsSource, OutcomeCounts } from '../../src/metrics/source.ts';
import {
  createMemoryDataPlane,
  type DataPlaneFault,
  type MemoryDataPlane,
} from '../../src/traffic/memory-dataplane.ts';
import type { RoutingTable, ServiceRoute } from '../../src/traffic/model.ts';
import type { Random } from './random.ts';

/** How a version behaves. */
export interface Quality {
  errorShare: number;
  medianMs: number;
}

const CALL_TIMEOUT_MS = 2000;

export type MetricsFault = 'ok' | 'gone' | 'nan' | 'frozen';

export interface SimGatewayOptions {
  clock: Clock;
  random: Random;
  services: string[];
  requestsPerSecond: () => number;
  quality: (version: string) => Quality;
  fault: (call: 'apply' | 'renew' | 'observe') => DataPlaneFault | null;
  metricsFault: () => MetricsFault;
  /** What the router makes of a share. */
  weigh: (weightBp: number) => number;
  /** What reaching an instance takes on top, ms. */
  detourMs: (instance: string) => number;
}

/** The simulated data plane with traffic: requests are drawn for the time that passed whenever somebody looks. */
export interface SimGateway {
  dataPlane: MemoryDataPlane;
  metrics: MetricsSource;
  /** Lets requests arrive up to now. */
  flow(): void;
  restart(): void;
  /** Its process runs. */
  runs(): boolean;
  /** A controller that finds none starts one. */
  launch(): void;
  /** Its process is ended by a controller. */
  end(): void;
  /** Somebody else puts a table in force. */
  put(table: RoutingTable): void;
}

export function createSimGateway(options: SimGatewayOptions): SimGateway {
  const { clock, random } = options;
  const plane = createMemoryDataPlane(clock);
  plane.fault = options.fault;
  plane.weigh = options.weigh;
  let running = false;
  let boots = 0;
  let counters = new Map<string, InstanceCounters>();
  let flowedMs = clock.monoMs();
  let frozen: CounterSnapshot | null = null;

  function countersOf(route: ServiceRoute, version: string, instance: string): InstanceCounters {
    const key = `${route.service} ${instance}`;
    let found = counters.get(key);
    if (!found) {
      const zero = (): OutcomeCounts => zeroCounts(route.edgesMs.length);
      found = { instance, version, cohort: 'weight', outcome: zero(), firstTry: zero() };
      counters.set(key, found);
    }
    return found;
  }

  function serve(route: ServiceRoute, weightBp: number): void {
    const isCanary = route.canary !== null && random.next() * 10_000 < weightBp;
    const version = isCanary && route.canary ? route.canary.version : route.stable;
    const instances = route.versions.find((line) => line.version === version)?.instances ?? [];
    if (instances.length === 0) return;
    const instance = random.pick(instances).id;
    const counts = countersOf(route, version, instance).firstTry;
    const { errorShare, medianMs } = options.quality(version);
    const failed = random.chance(errorShare);
    const latencyMs = medianMs * Math.exp(gaussian(random) * 0.5) + options.detourMs(instance);
    counts.requests += 1;
    if (failed) counts.status5xx += 1;
    else counts.status2xx += 1;
    for (const [edge, limitMs] of route.edgesMs.entries()) if (latencyMs > limitMs) counts.over[edge]! += 1;
    if (isCanary) plane.expose(route.service, 1, failed ? 1 : 0);
  }

  function routes(): ServiceRoute[] {
    return options.services.map((service) => plane.route(service)).filter((route) => route !== null);
  }

  function flow(): void {
    const now = clock.monoMs();
    const expected = ((now - flowedMs) / 1000) * options.requestsPerSecond();
    flowedMs = now;
    for (const route of routes()) {
      const weightBp = plane.weightOf(route.service);
      for (let n = poisson(expected, random); n > 0; n--) serve(route, weightBp);
    }
  }

  function snapshot(): CounterSnapshot {
    const services = routes().map((route) => ({
      service: route.service,
      edgesMs: route.edgesMs,
      instances: [...counters.entries()]
        .filter(([key]) => key.startsWith(`${route.service} `))
        .map(([, value]) => structuredClone(value)),
      own: noOwnAnswers(),
    }));
    return { bootId: `boot-${boots}`, atMs: clock.nowMs(), monoMs: clock.monoMs(), services };
  }

  const metrics: MetricsSource = {
    async read() {
      flow();
      const fault = options.metricsFault();
      if (fault === 'gone') throw new Error('connection refused');
      if (fault === 'frozen') {
        frozen ??= snapshot();
        return structuredClone(frozen);
      }
      frozen = null;
      return fault === 'nan' ? withNan(snapshot()) : snapshot();
    },
  };

  /** The real driver gives up on a call that does not answer. */
  async function timeLimit(): Promise<never> {
    await sleep(clock, CALL_TIMEOUT_MS);
    throw new Error(`no answer within ${CALL_TIMEOUT_MS} ms`);
  }

  return {
    dataPlane: {
      ...plane,
      apply(table) {
        flow();
        return Promise.race([plane.apply(table), timeLimit()]);
      },
      renew: (ids) => Promise.race([plane.renew(ids), timeLimit()]),
      observe() {
        flow();
        return plane.observe();
      },
    },
    metrics,
    flow,
    restart() {
      flow();
      boots += 1;
      counters = new Map();
      plane.restart();
    },
    runs: () => running,
    launch() {
      running = true;
    },
    end() {
      running = false;
      this.restart();
    },
    put(table) {
      flow();
      plane.fault = () => null;
      void plane.apply(table);
      plane.fault = options.fault;
    },
  };
}

function zeroCounts(edges: number): OutcomeCounts {
  return {
    requests: 0,
    status2xx: 0,
    status3xx: 0,
    status4xx: 0,
    status5xx: 0,
    timeouts: 0,
    resets: 0,
    over: new Array<number>(edges).fill(0),
    durationMsSum: 0,
  };
}

function withNan(snapshot: CounterSnapshot): CounterSnapshot {
  for (const service of snapshot.services) {
    for (const instance of service.instances) instance.firstTry.requests = Number.NaN;
  }
  return snapshot;
}

/** Knuth for small means, a rounded normal above. */
function poisson(mean: number, random: Random): number {
  if (mean > 30) return Math.max(0, Math.round(mean + gaussian(random) * Math.sqrt(mean)));
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count += 1;
  return count;
}

function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
