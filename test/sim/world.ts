import { judge } from '../../src/analysis/tep-judge.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createMemoryStore, openMemoryLedger, type WriteOutcome } from '../../src/ledger/memory-ledger.ts';
import { type Log, silentLog } from '../../src/lib/log.ts';
import { createVirtualClock } from '../../src/lib/virtual-clock.ts';
import { type Controller, createController } from '../../src/release/controller.ts';
import type { DataPlaneFault } from '../../src/traffic/memory-dataplane.ts';
import { createMemoryWorkloads } from '../../src/workloads/memory-workloads.ts';
import { createSimGateway, type MetricsFault } from './gateway.ts';
import { createLifeline, type Lifeline } from './lifeline.ts';
import type { Command, SimPlan, Trouble } from './plan.ts';
import { createRandom } from './random.ts';

/** A fault that lasts for a while. */
interface Spell<T> {
  outcome: T;
  untilMs: number;
}

/** The whole product with a simulated world around it; one seed, one run. */
export function createWorld(plan: SimPlan) {
  const clock = createVirtualClock();
  const random = createRandom(plan.seed ^ 0x5eed);
  const store = createMemoryStore();
  const spells: {
    apply: Spell<DataPlaneFault> | null;
    append: Spell<WriteOutcome> | null;
    metrics: Spell<MetricsFault> | null;
  } = {
    apply: null,
    append: null,
    metrics: null,
  };
  let life: Lifeline = createLifeline(clock);
  let controller: Controller | null = null;
  let ledger: Ledger | null = null;
  let downUntilMs = 0;
  let killAt: { calls: number; downMs: number } | null = null;
  let fatals = 0;
  let ids = 0;
  let keys = 0;
  const answers = new Map<string, string[]>();

  function during<T>(spell: Spell<T> | null): T | null {
    return spell && clock.monoMs() < spell.untilMs ? spell.outcome : null;
  }

  const gateway = createSimGateway({
    clock,
    random,
    services: Object.keys(plan.spec.services),
    requestsPerSecond: () => plan.requestsPerSecond,
    quality: (version) => plan.quality[version] ?? { errorShare: 0, medianMs: 20 },
    fault: (call) => (call === 'observe' ? null : during(spells.apply)),
    metricsFault: () => during(spells.metrics) ?? 'ok',
  });
  const workloads = createMemoryWorkloads({ spec: plan.spec, clock });

  function die(downMs: number): void {
    life.kill();
    controller = null;
    downUntilMs = clock.monoMs() + downMs;
  }

  function pointReached(mine: Lifeline): void {
    if (!killAt || mine !== life) return;
    killAt.calls -= 1;
    if (killAt.calls > 0) return;
    const { downMs } = killAt;
    killAt = null;
    die(downMs);
  }

  async function startController(): Promise<void> {
    const mine = createLifeline(clock);
    life = mine;
    const at = (): void => pointReached(mine);
    const knownTerm = store.term;
    const { term: aboveTerm } = await gateway.dataPlane.observe();
    ledger = await openMemoryLedger({
      ...{ clock, store, aboveTerm },
      newId: () => `00000000-0000-7000-8000-${String(ids++).padStart(12, '0')}`,
      fault: () => during(spells.append) ?? 'ok',
    });
    const created = createController({
      spec: plan.spec,
      ledger: mine.wrap('ledger', ledger, at),
      dataPlane: mine.wrap('dataPlane', gateway.dataPlane, at),
      metrics: mine.wrap('metrics', gateway.metrics, at),
      workloads: mine.wrap('workloads', workloads, at),
      knownTerm,
      judge,
      clock: mine.clock,
      log: process.env.SIM_LOG ? stderrLog : silentLog,
      onFatal: () => {
        fatals += 1;
        mine.clock.after(1000, () => mine === life && die(100));
      },
    });
    controller = created;
    // A write that fails during the very start ends the process, too; its supervisor tries again.
    await Promise.race([
      created
        .load()
        .then(() => created.start())
        .catch(() => mine === life && die(500)),
      untilDead(mine),
    ]);
  }

  async function untilDead(mine: Lifeline): Promise<void> {
    while (mine === life && controller) {
      await new Promise<void>((resolve) => clock.after(10, resolve));
    }
  }

  function cause(trouble: Trouble): void {
    const untilMs = 'forMs' in trouble ? clock.monoMs() + trouble.forMs : 0;
    switch (trouble.kind) {
      case 'kill-controller':
        die(trouble.downMs);
        return;
      case 'kill-at-call':
        killAt = { calls: trouble.calls, downMs: trouble.downMs };
        return;
      case 'freeze-controller': {
        const frozen = life;
        frozen.freeze();
        // A supervisor would start another one beside it: the frozen one wakes up as a zombie with an old term.
        controller = null;
        downUntilMs = clock.monoMs() + trouble.forMs / 2;
        clock.after(trouble.forMs, () => frozen.thaw());
        return;
      }
      case 'restart-gateway':
        gateway.restart();
        return;
      case 'apply':
        spells.apply = { outcome: trouble.outcome, untilMs };
        return;
      case 'append':
        spells.append = { outcome: trouble.outcome, untilMs };
        return;
      case 'metrics':
        spells.metrics = { outcome: trouble.outcome, untilMs };
        return;
      case 'crash-instance':
        workloads.crash(trouble.instance, 'killed by the simulation');
        return;
      case 'step-wall-clock':
        clock.stepWall(trouble.byMs);
        return;
    }
  }

  /** Commands may be refused; what matters is what they leave behind. */
  function command(order: Command): void {
    const target = controller;
    if (!target) return;
    const fleet = target.fleet();
    const active = fleet.services.shop?.active ?? Object.keys(fleet.releases).at(-1) ?? 'shop-1';
    const actor = { kind: 'person' as const, id: order.kind === 'release' ? order.by : 'ada' };
    const key = `key-${keys++}`;
    const ignore = (): void => {};
    if (order.kind !== 'release') {
      const caller = { actor, key };
      if (order.kind === 'promote') target.promote(active, { reason: 'sim', full: false }, caller).catch(ignore);
      else target[order.kind](active, 'sim', caller).catch(ignore);
      return;
    }
    const { version } = order;
    for (let n = 0; n < order.times; n++) {
      target
        .request({ service: 'shop', version, reason: 'sim', supersede: false }, { actor, key })
        .catch((error: Error) => `refused: ${error.message}`)
        .then((answer) => answers.set(key, [...(answers.get(key) ?? []), answer]));
    }
  }

  return {
    clock,
    store,
    gateway,
    cause,
    command,
    workloads,
    answers,
    spells,
    start: () => Promise.all([workloads.start(), startController()]),
    controller: () => controller,
    /** Dead or frozen, and not started again yet. */
    controllerDown: () => controller === null,
    fatals: () => fatals,
    /** No more deaths at a call. */
    calm(): void {
      killAt = null;
    },
    /** Lets the supervisor do its work: a dead controller comes back after its down time. */
    supervise(): void {
      if (controller === null && clock.monoMs() >= downUntilMs) {
        downUntilMs = Number.POSITIVE_INFINITY;
        void startController();
      }
    },
  };
}

export type World = ReturnType<typeof createWorld>;

/** `SIM_LOG=1 npm run sim -- --seed N` shows what the controller logs. */
const stderrLog: Log = {
  info: () => {},
  warn: (fields, message) => void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
  error: (fields, message) => void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
};
