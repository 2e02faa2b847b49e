import { judge } from '../../src/analysis/tep-judge.ts';
import { type MemoryStore, openMemoryLedger, type WriteOutcome } from '../../src/ledger/memory-ledger.ts';
import { messageOf } from '../../src/lib/error.ts';
import { type Log, silentLog } from '../../src/lib/log.ts';
import type { VirtualClock } from '../../src/lib/virtual-clock.ts';
import { type Controller, createController } from '../../src/release/controller.ts';
import { Scope } from '../../src/scope.ts';
import type { Spec } from '../../src/spec/model.ts';
import type { Workloads } from '../../src/workloads/workloads.ts';
import type { SimGateway } from './gateway.ts';
import { createLifeline, type Lifeline } from './lifeline.ts';
import type { createOutside } from './outside.ts';
import type { createSupervisor } from './supervisor.ts';

export interface LifeParts {
  spec: Spec;
  clock: VirtualClock;
  gateway: SimGateway;
  workloads: Workloads;
  supervisor: ReturnType<typeof createSupervisor>;
  outside: ReturnType<typeof createOutside>;
  store: () => MemoryStore;
  /** What the next write of the ledger does. */
  write: () => WriteOutcome;
  /** Why no controller can start now; null when one can. */
  refusal: () => string | null;
}

/** One controller after the other: how they start, fail to start, freeze and die. */
export function createControllerLife(parts: LifeParts) {
  const { clock, gateway, supervisor, outside } = parts;
  /** The process that is starting or runs; null while there is none. */
  let current: Lifeline | null = null;
  let controller: Controller | null = null;
  let wasReady = false;
  let killAt: { calls: number; downMs: number } | null = null;
  let fatals = 0;
  let ids = 0;
  /** What took effect without a record died with its controller. */
  let unrecorded = false;

  function gone(downMs: number): void {
    current = null;
    controller = null;
    supervisor.ended({ code: null, wasReady, failure: null }, downMs);
  }

  function die(downMs: number): void {
    if (!current) return;
    if ((controller?.lateCount() ?? 0) > 0) unrecorded = true;
    current.kill();
    gone(downMs);
  }

  function pointReached(mine: Lifeline): void {
    if (!killAt || mine !== current) return;
    killAt.calls -= 1;
    if (killAt.calls > 0) return;
    const { downMs } = killAt;
    killAt = null;
    die(downMs);
  }

  async function start(): Promise<void> {
    const mine = createLifeline(clock);
    current = mine;
    wasReady = false;
    const scope = new Scope(gateway.runs());
    gateway.launch();
    scope.add((leaveRunning) => leaveRunning || gateway.end());
    const why = parts.refusal();
    if (why !== null) return refuse(scope, why);
    const created = await open(mine).catch((error: unknown) => messageOf(error));
    if (mine !== current) return;
    if (typeof created === 'string') return refuse(scope, created);
    controller = created;
    // A write that fails during the very start ends the process, too; its supervisor tries again.
    const started = created.load().then(
      () => {
        created.start();
        wasReady ||= mine === current;
      },
      () => mine === current && die(500),
    );
    await Promise.race([started, untilDead(mine)]);
  }

  async function refuse(scope: Scope, text: string): Promise<void> {
    await scope.fail();
    current = null;
    supervisor.ended({ code: 2, wasReady: false, failure: { known: true, text } }, 0);
  }

  async function open(mine: Lifeline): Promise<Controller> {
    const store = parts.store();
    const known = { term: store.term, size: store.lines.length };
    const at = (): void => pointReached(mine);
    const ledger = await openMemoryLedger({
      ...{ clock, store, aboveTerm: (await gateway.dataPlane.observe()).term, fault: parts.write },
      newId: () => `00000000-0000-7000-8000-${String(ids++).padStart(12, '0')}`,
    });
    ledger.subscribe((records) => {
      if (records.some(({ type }) => type.startsWith('traffic.'))) outside.noted(records.at(-1)!.seq + 1);
    });
    return createController({
      spec: parts.spec,
      ledger: mine.wrap('ledger', ledger, at),
      dataPlane: mine.wrap('dataPlane', gateway.dataPlane, at),
      metrics: mine.wrap('metrics', gateway.metrics, at),
      workloads: mine.wrap('workloads', parts.workloads, at),
      judge,
      clock: mine.clock,
      log: process.env.SIM_LOG ? stderrLog : silentLog,
      knownTerm: known.term,
      lossSigns: outside.hears(known.size),
      onFatal: () => {
        fatals += 1;
        mine.clock.after(1000, () => mine === current && die(100));
      },
    });
  }

  async function untilDead(mine: Lifeline): Promise<void> {
    while (mine === current) {
      await new Promise<void>((resolve) => clock.after(10, resolve));
    }
  }

  return {
    start,
    die,
    dieAt(at: { calls: number; downMs: number } | null): void {
      killAt = at;
    },
    /** A supervisor would start another one beside it: the frozen one wakes up as a zombie with an old term. */
    freeze(forMs: number): void {
      const frozen = current;
      if (!frozen) return;
      frozen.freeze();
      gone(forMs / 2);
      clock.after(forMs, () => frozen.thaw());
    },
    controller: () => controller,
    fatals: () => fatals,
    unrecorded: () => unrecorded,
  };
}

/** `SIM_LOG=1 npm run sim -- --seed N` shows what the controller logs. */
const stderrLog: Log = {
  info: () => {},
  warn: (fields, message) => void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
  error: (fields, message) => void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
};
