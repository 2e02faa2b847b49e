import type { FastifyInstance } from 'fastify';
import { type Chaos, createChaos } from '../chaos/chaos.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createMemoryStore, type MemoryStore, openMemoryLedger } from '../ledger/memory-ledger.ts';
import { silentLog } from '../lib/log.ts';
import { createVirtualClock, type VirtualClock } from '../lib/virtual-clock.ts';
import { type Controller, createController } from '../release/controller.ts';
import { FoldCache } from '../release/fold-cache.ts';
import { policy, service } from '../release/release.fixture.ts';
import { scriptedJudge } from '../release/scripted-judge.fixture.ts';
import type { ExperimentSpec } from '../spec/chaos-model.ts';
import type { Spec } from '../spec/model.ts';
import { createMemoryDataPlane } from '../traffic/memory-dataplane.ts';
import { createMemoryFaultPlane } from '../traffic/memory-faults.ts';
import { createMemoryWorkloads } from '../workloads/memory-workloads.ts';
import type { ServerContext } from './context.ts';
import { buildServer } from './server.ts';
import { createSessions, type Sessions } from './sessions.ts';

const TOKEN = 'a-token-that-nobody-guesses';

const experiment: ExperimentSpec = {
  ...{
    name: 'slow-shop',
    hypothesis: 'shop stays within its limits',
    probes: [],
    fault: { kind: 'delay', delayMs: 1 },
  },
  ...{ scope: { service: 'shop', version: null, instances: 1, zone: null, share: 1 }, durationMs: 12_000 },
  ...{ steadyMs: 2_000, stopErrorShare: null, detectWithinMs: null, recoverWithinMs: 10_000, schedule: null },
  duringRelease: false,
};

/** The API over the real release and chaos rooms, which act on memory drivers: service `shop` at v1, with v2 and v3. */
export interface ApiWorld {
  app: FastifyInstance;
  clock: VirtualClock;
  controller: Controller;
  chaos: Chaos;
  sessions: Sessions;
  store: MemoryStore;
  ledger: Ledger;
  token: string;
  /** One call with the token. A body that is no text is sent as JSON. */
  call(method: 'GET' | 'POST', url: string, body?: unknown): Promise<{ status: number; body: unknown; text: string }>;
  close(): Promise<void>;
}

/** `parts` stand in for what has no memory driver. */
export async function createApiWorld(parts: Partial<ServerContext> = {}): Promise<ApiWorld> {
  const clock = createVirtualClock();
  const store = createMemoryStore();
  const ledger = await openMemoryLedger({ clock, store });
  const spec: Spec = {
    ...{ system: 'test', source: { file: 'davy.yaml', sha256: '0'.repeat(64) } },
    services: { shop: service },
    policies: { quick: policy },
    chaos: {
      limits: { instancesShare: 1, requestsShare: 1, minHealthy: 0 },
      ...{ freeze: [], experiments: { 'slow-shop': experiment } },
    },
  };
  const workloads = createMemoryWorkloads({ spec, clock });
  const metrics = { read: async () => Promise.reject(new Error('nothing is counted here')) };
  const controller = createController({
    ...{ spec, ledger, dataPlane: createMemoryDataPlane(clock), metrics, workloads, judge: scriptedJudge, clock },
    ...{ log: silentLog, onFatal: () => {}, knownTerm: 0 },
  });
  const hit = { pid: 1, startTime: 'now' };
  const chaos = createChaos({
    ...{ spec, ledger, metrics, workloads, clock, log: silentLog, ask: async () => true },
    faultPlane: createMemoryFaultPlane(
      clock,
      () => 0.5,
      (delayMs) => delayMs,
    ),
    instances: {
      ...{ kill: async () => hit, pause: async () => hit, resume: async () => {}, isPaused: () => false },
      look: () => ({ exists: false, stopped: false, switches: null }),
    },
    ...{ releasesInFlight: () => [], trafficShare: () => ({ v1: 1 }), seeded: () => () => 0.5, newSeed: () => 1 },
  });
  const context = {
    ...{ spec, controller, chaos, workloads, judge: scriptedJudge, ledger, clock, log: silentLog },
    ...{ replayed: () => true, counters: metrics.read, anchors: () => [], ledgerKey: () => 'test+00000000+key' },
    folds: new FoldCache({ ledger, judge: scriptedJudge, turn: async () => {} }),
    silenceMetrics: async () => ({ untilMs: 0 }),
    restartGateway: async () => ({ pid: 1, tookMs: 1 }),
    growth: { size: () => ({ records: ledger.head().size, bytes: 0 }), growth: () => null },
    ...parts,
  } as unknown as ServerContext;
  const sessions = createSessions(clock, { file: null, salt: '' });
  const app = await buildServer(context, { token: TOKEN, loopback: true, sessions }, 'test');
  await finish(clock, workloads.start());
  await finish(clock, chaos.load());
  await finish(clock, controller.load());
  controller.start();
  // The first table is in force and recorded: what a call changes is told apart from it.
  await clock.advance(1000);
  return {
    ...{ app, clock, controller, chaos, sessions, store, ledger, token: TOKEN },
    async call(method, url, body) {
      const headers = { host: '127.0.0.1:7070', authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
      const payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      const answer = await app.inject({ method, url, headers, ...(body !== undefined && { payload }) });
      const json = String(answer.headers['content-type']).includes('json');
      return { status: answer.statusCode, body: json && answer.body !== '' ? answer.json() : null, text: answer.body };
    },
    async close() {
      await app.close();
      await finish(clock, controller.stop());
    },
  };
}

/** Lets the virtual clock run until the work is done. */
async function finish(clock: VirtualClock, work: Promise<unknown>): Promise<void> {
  let done = false;
  const ended = (): boolean => (done = true);
  work.then(ended, ended);
  while (!done) await clock.advance(50);
  await work;
}
