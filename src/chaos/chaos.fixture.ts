import { noOwnAnswers } from '../gateway/stats/own-answers.ts';
import { createMemoryStore, openMemoryLedger } from '../ledger/memory-ledger.ts';
import type { Clock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { seededRandom } from '../lib/seeded-random.ts';
import { createVirtualClock, type VirtualClock } from '../lib/virtual-clock.ts';
import type { CounterSnapshot, OutcomeCounts } from '../metrics/source.ts';
import type { ChaosSpec, ExperimentSpec } from '../spec/chaos-model.ts';
import type { Spec } from '../spec/model.ts';
import { createMemoryFaultPlane, type MemoryFaultPlane } from '../traffic/memory-faults.ts';
import type { InstanceFaults } from '../workloads/faults.ts';
import { createMemoryWorkloads, type MemoryWorkloads } from '../workloads/memory-workloads.ts';
import { type Chaos, createChaos } from './chaos.ts';

const edgesMs = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500];
const trafficEveryMs = 50;
const requestsPerTurn = 5;
const ownLatencyMs = 8;

export const experiment: ExperimentSpec = {
  name: 'slow-b',
  hypothesis: 'b stays within its limits',
  probes: [
    {
      kind: 'gateway',
      name: 'b',
      service: 'b',
      errorShare: 0.02,
      latency: [{ quantile: 0.95, underMs: 500 }],
      minRequests: 20,
    },
  ],
  fault: { kind: 'delay', delayMs: 100 },
  scope: { service: 'b', version: null, instances: 1, zone: null, share: 1 },
  durationMs: 12_000,
  steadyMs: 2_000,
  stopErrorShare: null,
  detectWithinMs: null,
  recoverWithinMs: 10_000,
  schedule: null,
  duringRelease: false,
};

/** Services (`b` unless others are named) with three instances each under steady traffic, and a chaos engine on them; all on one virtual clock. */
export interface ChaosWorld {
  clock: VirtualClock;
  workloads: MemoryWorkloads;
  faultPlane: MemoryFaultPlane;
  chaos: Chaos;
  releases: string[];
  /** The next time that a hit of `delayMs` takes this long instead. */
  addMs: (delayMs: number) => number;
  /** Answers of every request while set. */
  brokenShare: number;
  metricsGone: boolean;
  paused: Set<string>;
  /** Share of the requests that get past the data plane's faults. */
  passingShare: number;
  /** What nothing kills. */
  immortal: Set<string>;
  /** The process of a paused instance runs for a moment and stands still again. */
  stir(instance: string): void;
  /** The engine's process dies: nothing that it awaits ever comes back. */
  kill(): void;
  /** A new engine on the same ledger. */
  restart(): Promise<void>;
  settle<T>(promise: Promise<T>): Promise<T>;
  types(): Promise<string[]>;
}

export async function createChaosWorld(
  chaosSpec: Partial<ChaosSpec> = {},
  seed = 1,
  services: readonly string[] = ['b'],
  zone: string | null = null,
): Promise<ChaosWorld> {
  const clock = createVirtualClock();
  const random = seededRandom(seed);
  const spec = specWith(chaosSpec, services, zone);
  const workloads = createMemoryWorkloads({ spec, clock });
  const faultPlane = createMemoryFaultPlane(clock, random, (delayMs) => world.addMs(delayMs));
  const store = createMemoryStore();
  const counters = new Map<string, OutcomeCounts>();
  const started = new Map<string, number>();
  /** How often each paused process left its processor. */
  const switches = new Map<number, number>();
  let alive = { dead: false };

  function turn(): void {
    for (const status of workloads.list()) {
      if (status.phase !== 'ready' || status.version !== 'v1') continue;
      for (let i = 0; i < requestsPerTurn; i++) request(status.service, status.id);
    }
    clock.after(trafficEveryMs, turn);
  }

  function request(service: string, instance: string): void {
    started.set(instance, (started.get(instance) ?? 0) + 1);
    const passes = random() < world.passingShare;
    const rule = passes ? null : faultPlane.request({ service, version: 'v1', instance, zone });
    const action = rule?.action;
    const failed = action?.kind === 'abort' || action?.kind === 'blackhole' || random() < world.brokenShare;
    const latencyMs = ownLatencyMs + (action?.kind === 'delay' ? action.delayMs : 0);
    const counts = counters.get(instance) ?? emptyCounts();
    counts.requests++;
    if (failed) counts.status5xx++;
    else counts.status2xx++;
    edgesMs.forEach((edge, i) => {
      if (latencyMs > edge) counts.over[i]!++;
    });
    counters.set(instance, counts);
  }

  function snapshot(): CounterSnapshot {
    const instancesOf = (service: string) =>
      [...counters]
        .filter(([instance]) => instance.startsWith(`${service}/`))
        .map(([instance, outcome]) => ({
          ...{ instance, version: 'v1', cohort: 'weight' as const, started: started.get(instance) ?? 0 },
          outcome: structuredClone(outcome),
          firstTry: structuredClone(outcome),
        }));
    const own = noOwnAnswers();
    return {
      bootId: 'one',
      atMs: clock.nowMs(),
      monoMs: clock.monoMs(),
      services: services.map((service) => ({ service, edgesMs, instances: instancesOf(service), own })),
    };
  }

  const instances: InstanceFaults = {
    async kill(id) {
      const process = processOf(id);
      if (!world.immortal.has(id)) workloads.crash(id, 'was killed by SIGKILL');
      return process;
    },
    async pause(id, ttlMs) {
      world.paused.add(id);
      workloads.breakHealth(id, 'GET / was not answered');
      clock.after(ttlMs, () => unpause(id));
      return processOf(id);
    },
    resume: async (id) => unpause(id),
    isPaused: (id) => world.paused.has(id),
    look({ pid }) {
      const instance = workloads.list().find((one) => one.pid === pid)?.id;
      const stopped = instance !== undefined && world.paused.has(instance);
      return { exists: instance !== undefined, stopped, switches: switches.get(pid) ?? 0 };
    },
  };

  function processOf(id: string) {
    return { pid: workloads.list().find((one) => one.id === id)!.pid!, startTime: 'now' };
  }

  function unpause(id: string): void {
    if (world.paused.delete(id)) workloads.mendHealth(id);
  }

  async function openEngine(): Promise<Chaos> {
    const life = { dead: false };
    alive = life;
    const mortal = <T extends object>(target: T): T => mortalProxy(target, life);
    const ledger = await openMemoryLedger({ clock, store });
    return createChaos({
      spec,
      ledger: mortal(ledger),
      clock: mortalClock(clock, life),
      faultPlane: mortal(faultPlane),
      instances: mortal(instances),
      workloads,
      metrics: mortal({ read: async () => (world.metricsGone ? Promise.reject(new Error('gone')) : snapshot()) }),
      ask: async () => true,
      log: silentLog,
      releasesInFlight: () => world.releases,
      trafficShare: () => ({ v1: 1 }),
      seeded: seededRandom,
      newSeed: () => Math.floor(random() * 2 ** 32),
    });
  }

  const world: ChaosWorld = {
    ...{ clock, workloads, faultPlane, chaos: undefined as unknown as Chaos, releases: [] },
    ...{ addMs: (delayMs) => delayMs, brokenShare: 0, metricsGone: false, paused: new Set() },
    ...{ passingShare: 0, immortal: new Set() },
    stir(instance) {
      const { pid } = processOf(instance);
      switches.set(pid, (switches.get(pid) ?? 0) + 2);
    },
    kill() {
      alive.dead = true;
    },
    async restart() {
      world.chaos = await openEngine();
      await world.settle(world.chaos.load());
      await world.settle(world.chaos.start());
    },
    async settle(promise) {
      let settled = false;
      const done = (): boolean => (settled = true);
      promise.then(done, done);
      for (let i = 0; i < 20_000 && !settled; i++) await clock.advance(50);
      return promise;
    },
    async types() {
      const types: string[] = [];
      const reader = await openMemoryLedger({ clock, store: { ...store } });
      for await (const record of reader.read(0)) if (record.type.startsWith('chaos.')) types.push(record.type.slice(6));
      return types;
    },
  };
  await world.settle(workloads.start());
  turn();
  await world.restart();
  return world;
}

const never = new Promise<never>(() => {});

/** Calls of a dead process do nothing and never come back. */
function mortalProxy<T extends object>(target: T, life: { dead: boolean }): T {
  return new Proxy(target, {
    get(from, name) {
      const value = Reflect.get(from, name) as unknown;
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (life.dead) return never;
        const result = (value as (...all: unknown[]) => unknown).apply(from, args);
        return result instanceof Promise ? result.then((answer) => (life.dead ? never : answer)) : result;
      };
    },
  });
}

function mortalClock(clock: Clock, life: { dead: boolean }): Clock {
  return { ...clock, after: (delayMs, fn) => clock.after(delayMs, () => life.dead || fn()) };
}

function emptyCounts(): OutcomeCounts {
  return {
    ...{ requests: 0, status2xx: 0, status3xx: 0, status4xx: 0, status5xx: 0, timeouts: 0, resets: 0 },
    ...{ over: edgesMs.map(() => 0), durationMsSum: 0 },
  };
}

function specWith(chaos: Partial<ChaosSpec>, services: readonly string[], zone: string | null): Spec {
  const version = { name: 'v1', argv: ['b'], env: {}, replicas: 3, endpoints: [], zone };
  const named = (name: string) => ({
    ...{ name, listenPort: 8082, stable: 'v1', versions: { v1: version }, policy: 'p', objectives: [] },
    health: {
      probe: { kind: 'http1' as const, path: '/' },
      everyMs: 50,
      timeoutMs: 50,
      unhealthyAfter: 1,
      healthyAfter: 1,
      startWithinMs: 1_000,
    },
    traffic: { timeoutMs: 1_000, retries: null, ejection: null, canaryHeader: null, rateLimit: null },
    expect: null,
  });
  return {
    ...{ system: 't', source: { file: 'davy.yaml', sha256: '' }, policies: {} },
    services: Object.fromEntries(services.map((name) => [name, named(name)])),
    chaos: {
      limits: { instancesShare: 0.5, requestsShare: 0.5, minHealthy: 1 },
      freeze: [],
      experiments: { 'slow-b': experiment },
      ...chaos,
    },
  };
}
