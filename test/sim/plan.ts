import type { PolicySpec, Spec } from '../../src/spec/model.ts';
import type { Quality } from './gateway.ts';
import { createRandom, type Random } from './random.ts';

/** What goes wrong, and when. Times are virtual milliseconds. */
export type Trouble =
  | { atMs: number; kind: 'kill-controller'; downMs: number }
  /** Dies at the n-th call of a port from then on, before or after its effect. */
  | { atMs: number; kind: 'kill-at-call'; calls: number; downMs: number }
  | { atMs: number; kind: 'freeze-controller'; forMs: number }
  | { atMs: number; kind: 'restart-gateway' }
  | { atMs: number; kind: 'apply'; outcome: 'failed' | 'failed-but-done' | 'hang'; forMs: number }
  | { atMs: number; kind: 'append'; outcome: 'failed' | 'failed-but-done' | 'disk-full'; forMs: number }
  | { atMs: number; kind: 'metrics'; outcome: 'gone' | 'nan' | 'frozen'; forMs: number }
  | { atMs: number; kind: 'crash-instance'; instance: string }
  | { atMs: number; kind: 'step-wall-clock'; byMs: number }
  /**
   * Everything that writes is killed, and the ledger put back as it was `backMs` before. `wipe`: there is none any more.
   * `gatewayToo`: the data plane, which would have known better, was started anew as well.
   */
  | { atMs: number; kind: 'restore-ledger'; backMs: number; wipe: boolean; gatewayToo: boolean; downMs: number }
  /** Somebody else puts a table in force, of a later generation and perhaps of a later controller. */
  | { atMs: number; kind: 'router-ahead'; terms: number; generations: number; weightBp: number; downMs: number | null }
  /** The data plane makes something else of a canary's share. */
  | { atMs: number; kind: 'rounding-router'; toBp: number; forMs: number }
  /** The controller dies, and none can start (a port is taken, the spec is broken) for a while. */
  | { atMs: number; kind: 'failed-restart'; why: string; forMs: number }
  /** A name leads to another address; what was the old one belongs to somebody else. */
  | { atMs: number; kind: 'moved-name'; instance: string }
  /** The first address of a name does not answer; every connection takes the second one, and longer. */
  | { atMs: number; kind: 'address-fallback'; instance: string; forMs: number };

/** What people ask for, and when. */
export type Command =
  | { atMs: number; kind: 'release'; version: string; by: string; times: number }
  | { atMs: number; kind: 'pause' | 'resume' | 'promote' | 'rollback' | 'continue' };

export interface SimPlan {
  seed: number;
  spec: Spec;
  quality: Record<string, Quality>;
  requestsPerSecond: number;
  troubles: Trouble[];
  commands: Command[];
  /** Somebody outside keeps the ledger's checkpoints. */
  witness: boolean;
  /** Nothing goes wrong any more after this; the run goes on until it is quiet. */
  troubleEndsMs: number;
}

const SERVICE = 'shop';

/** Draws a whole run from one number. */
export function drawPlan(seed: number): SimPlan {
  const random = createRandom(seed);
  const troubleEndsMs = 40_000;
  const good = { errorShare: random.pick([0, 0.0005, 0.002]), medianMs: 20 };
  const quality = { v1: good, v2: drawQuality(good, random), v3: drawQuality(good, random) };
  const troubles: Trouble[] = [];
  for (let n = random.int(0, 5); n > 0; n--) troubles.push(drawTrouble(random, troubleEndsMs));
  troubles.push(...drawCompany(random, troubles));
  const commands = [...drawCommands(random, troubleEndsMs), ...drawDecisions(random, troubles)];
  return {
    seed,
    spec: drawSpec(random),
    quality,
    requestsPerSecond: random.pick([0, 20, 100, 200]),
    troubles,
    commands: commands.sort((a, b) => a.atMs - b.atMs),
    witness: random.chance(0.5),
    troubleEndsMs,
  };
}

function drawQuality(good: Quality, random: Random): Quality {
  const kind = random.int(0, 3);
  if (kind === 0) return { ...good, errorShare: random.pick([0.05, 0.2, 0.5, 1]) };
  if (kind === 1) return { ...good, medianMs: 2000 };
  return good;
}

function drawSpec(random: Random): Spec {
  const hold = (): number => random.int(2, 5) * 1000;
  const limits = { errorShare: 0.02, latency: [{ quantile: 0.95, underMs: 500 }] };
  const policy: PolicySpec = {
    name: 'sim',
    lookMs: random.pick([500, 1000]),
    steps: [1000, 5000, 10_000].map((weightBp) => ({ weightBp, holdMs: hold(), limits })),
    sustainedMs: 4000,
    instant: { errorShare: 0.2, overMs: 3000, minRequests: 20 },
    compare: { falseRollbackShare: 0.01, errors: { ratio: 1.1, plusShare: 0.001 }, latency: { ratio: 1.2 } },
    promote: {
      confidenceShare: 0.99,
      errors: { ratio: 1.25, plusShare: 0.1 },
      latency: { ratio: 1.5, plusShare: 0.15 },
    },
    noData: { holdMs: 6000, then: random.pick(['rollback', 'hold'] as const) },
    inconclusive: { holdMs: 20_000, then: random.pick(['rollback', 'hold'] as const) },
    errors: ['5xx', 'timeout', 'reset'],
    warmupMs: 0,
    holdBackBp: 0,
    sharedIncident: 'hold',
  };
  const version = (name: string): Spec['services'][string]['versions'][string] => ({
    name,
    argv: ['true'],
    env: {},
    replicas: 2,
    endpoints: [],
    zone: null,
  });
  const service = {
    name: SERVICE,
    listenPort: 8080,
    stable: 'v1',
    versions: { v1: version('v1'), v2: version('v2'), v3: version('v3') },
    health: {
      probe: { kind: 'http1', path: '/' },
      everyMs: 1000,
      timeoutMs: 500,
      unhealthyAfter: 3,
      healthyAfter: 1,
      startWithinMs: 8000,
    },
    traffic: { timeoutMs: 7000, retries: null, ejection: null, canaryHeader: 'x-canary', rateLimit: null },
    policy: 'sim',
    objectives: [],
    expectedRatePerSecond: null,
  };
  return {
    system: 'sim',
    services: { [SERVICE]: service as unknown as Spec['services'][string] },
    policies: { sim: policy },
    source: { file: 'sim.yaml', sha256: '0'.repeat(64) },
  };
}

function drawTrouble(random: Random, untilMs: number): Trouble {
  const atMs = random.int(500, untilMs - 8000);
  const forMs = random.int(200, 7000);
  switch (random.int(0, 14)) {
    case 0:
      return { atMs, kind: 'kill-controller', downMs: random.int(100, 20_000) };
    case 1:
    case 2:
      return { atMs, kind: 'kill-at-call', calls: random.int(1, 60), downMs: random.int(100, 3000) };
    case 3:
      return { atMs, kind: 'freeze-controller', forMs };
    case 4:
      return { atMs, kind: 'restart-gateway' };
    case 5:
      return { atMs, kind: 'apply', outcome: random.pick(['failed', 'failed-but-done', 'hang'] as const), forMs };
    case 6:
      return { atMs, kind: 'append', outcome: random.pick(['failed', 'failed-but-done', 'disk-full'] as const), forMs };
    case 7:
      return { atMs, kind: 'metrics', outcome: random.pick(['gone', 'nan', 'frozen'] as const), forMs };
    case 8:
      return random.chance(0.5)
        ? { atMs, kind: 'crash-instance', instance: `${SERVICE}/${random.pick(['v1', 'v2'])}/1` }
        : { atMs, kind: 'step-wall-clock', byMs: random.pick([-3_600_000, 3_600_000]) };
    default:
      return drawOutside(random, atMs, forMs);
  }
}

/** What happens to the controller's world rather than to the controller. */
function drawOutside(random: Random, atMs: number, forMs: number): Trouble {
  const downMs = random.int(100, 4000);
  const instance = `${SERVICE}/${random.pick(['v1', 'v2'])}/${random.int(1, 2)}`;
  switch (random.int(0, 6)) {
    case 0:
    case 1:
      return {
        ...{ atMs, kind: 'restore-ledger', backMs: random.int(500, 20_000), downMs },
        ...{ wipe: random.chance(0.15), gatewayToo: random.chance(0.25) },
      };
    case 2:
      return {
        ...{ atMs, kind: 'router-ahead', terms: random.pick([0, 0, 1, 2, 40]), generations: random.int(1, 5) },
        weightBp: random.pick([0, 0, 1000, 5000, 9900]),
        downMs: random.chance(0.6) ? downMs : null,
      };
    case 3:
      return { atMs, kind: 'rounding-router', toBp: random.pick([7, 300, 3333]), forMs: random.int(3000, 20_000) };
    case 4:
      return { atMs, kind: 'failed-restart', why: random.pick(['port taken', 'spec broken', 'ledger locked']), forMs };
    case 5:
      return { atMs, kind: 'moved-name', instance };
    default:
      return { atMs, kind: 'address-fallback', instance, forMs };
  }
}

/** While a table is asserted ever more rarely an instance moves: it must not have to wait for the next time. */
function drawCompany(random: Random, troubles: readonly Trouble[]): Trouble[] {
  return troubles.flatMap((trouble): Trouble[] => {
    if (trouble.kind !== 'rounding-router' || random.chance(0.5)) return [];
    const atMs = trouble.atMs + random.int(0, trouble.forMs);
    return [{ atMs, kind: 'moved-name', instance: `${SERVICE}/${random.pick(['v1', 'v2'])}/${random.int(1, 2)}` }];
  });
}

/** Where records may be lost a person goes on sooner or later, or never. */
function drawDecisions(random: Random, troubles: readonly Trouble[]): Command[] {
  const lossy = troubles.filter(({ kind }) => kind === 'restore-ledger' || kind === 'router-ahead');
  return lossy.flatMap(({ atMs }): Command[] =>
    random.chance(0.7) ? [{ atMs: atMs + random.int(1000, 15_000), kind: 'continue' }] : [],
  );
}

function drawCommands(random: Random, untilMs: number): Command[] {
  const commands: Command[] = [
    { atMs: 300, kind: 'release', version: 'v2', by: 'ada', times: random.chance(0.2) ? 3 : 1 },
  ];
  if (random.chance(0.3)) {
    const by = random.pick(['ada', 'bob']);
    commands.push({ atMs: random.int(1000, 20_000), kind: 'release', version: 'v3', by, times: 1 });
  }
  for (let n = random.int(0, 3); n > 0; n--) {
    const kind = random.pick(['pause', 'resume', 'promote', 'rollback'] as const);
    commands.push({ atMs: random.int(500, untilMs - 10_000), kind });
  }
  return commands;
}
