import { createMemoryStore, type WriteOutcome } from '../../src/ledger/memory-ledger.ts';
import { createVirtualClock } from '../../src/lib/virtual-clock.ts';
import type { DataPlaneFault } from '../../src/traffic/memory-dataplane.ts';
import { createMemoryWorkloads } from '../../src/workloads/memory-workloads.ts';
import { createControllerLife } from './controller-life.ts';
import { createSimGateway, type MetricsFault } from './gateway.ts';
import { createOutside } from './outside.ts';
import { createPast } from './past.ts';
import type { Command, SimPlan, Trouble } from './plan.ts';
import { createRandom } from './random.ts';
import { createSupervisor } from './supervisor.ts';

/** A fault that lasts for a while. */
interface Spell<T> {
  outcome: T;
  untilMs: number;
}

/** The whole product with a simulated world around it; one seed, one run. */
export function createWorld(plan: SimPlan) {
  const clock = createVirtualClock();
  const random = createRandom(plan.seed ^ 0x5eed);
  let store = createMemoryStore();
  const past = createPast(clock);
  const spells: {
    apply: Spell<DataPlaneFault> | null;
    append: Spell<WriteOutcome> | null;
    metrics: Spell<MetricsFault> | null;
    /** The smallest share that a router can tell apart. */
    rounding: Spell<number> | null;
    detour: Spell<string> | null;
    start: Spell<string> | null;
  } = { apply: null, append: null, metrics: null, rounding: null, detour: null, start: null };
  let restores = 0;
  let keys = 0;
  const answers = new Map<string, string[]>();
  /** Tables that no decision of this ledger made: from a history that is lost, or by somebody else. */
  const foreign = new Set<string>();

  function during<T>(spell: Spell<T> | null): T | null {
    return spell && clock.monoMs() < spell.untilMs ? spell.outcome : null;
  }

  function rounded(weightBp: number): number {
    const toBp = during(spells.rounding);
    return toBp === null || weightBp === 0
      ? weightBp
      : Math.min(10_000, Math.max(1, Math.round(weightBp / toBp)) * toBp);
  }

  const gateway = createSimGateway({
    clock,
    random,
    services: Object.keys(plan.spec.services),
    requestsPerSecond: () => plan.requestsPerSecond,
    quality: (version) => plan.quality[version] ?? { errorShare: 0, medianMs: 20 },
    fault: (call) => (call === 'observe' ? null : during(spells.apply)),
    metricsFault: () => during(spells.metrics) ?? 'ok',
    weigh: rounded,
    detourMs: (instance) => (during(spells.detour) === instance ? 250 : 0),
  });
  const workloads = createMemoryWorkloads({ spec: plan.spec, clock });
  const supervisor = createSupervisor({ clock, somethingRuns: gateway.runs });
  const outside = createOutside({ clock, witness: plan.witness, random: () => random.next() });
  const life = createControllerLife({
    ...{ spec: plan.spec, clock, gateway, workloads, supervisor, outside, store: () => store },
    write: () => during(spells.append) ?? 'ok',
    refusal: () => during(spells.start),
  });

  function tableKey(): string | null {
    const table = gateway.dataPlane.table();
    return table && `${table.term}/${table.generation}`;
  }

  function noteForeign(): void {
    const key = tableKey();
    if (key !== null) foreign.add(key);
  }

  /** What a person or another program with the gateway's token could do. */
  function overtake({ terms, generations, weightBp }: Extract<Trouble, { kind: 'router-ahead' }>): void {
    const table = gateway.dataPlane.table();
    if (!table) return;
    const services = table.services.map((route) => ({
      ...route,
      canary: route.canary && weightBp > 0 ? { ...route.canary, weightBp } : null,
    }));
    gateway.put({ term: table.term + terms, generation: table.generation + generations, services });
    noteForeign();
  }

  function cause(trouble: Trouble): void {
    const untilMs = 'forMs' in trouble ? clock.monoMs() + trouble.forMs : 0;
    switch (trouble.kind) {
      case 'kill-controller':
        life.die(trouble.downMs);
        break;
      case 'kill-at-call':
        life.dieAt({ calls: trouble.calls, downMs: trouble.downMs });
        break;
      case 'freeze-controller':
        life.freeze(trouble.forMs);
        break;
      case 'restart-gateway':
        gateway.restart();
        break;
      case 'apply':
        spells.apply = { outcome: trouble.outcome, untilMs };
        break;
      case 'append':
        spells.append = { outcome: trouble.outcome, untilMs };
        break;
      case 'metrics':
        spells.metrics = { outcome: trouble.outcome, untilMs };
        break;
      case 'crash-instance':
        workloads.crash(trouble.instance, 'killed by the simulation');
        break;
      case 'step-wall-clock':
        clock.stepWall(trouble.byMs);
        break;
      case 'restore-ledger':
        life.die(trouble.downMs);
        store = trouble.wipe ? past.wipe() : past.restore(store, trouble.backMs);
        restores += 1;
        if (trouble.gatewayToo) gateway.restart();
        noteForeign();
        break;
      case 'router-ahead':
        if (trouble.downMs !== null) life.die(trouble.downMs);
        clock.after((trouble.downMs ?? 0) / 2, () => overtake(trouble));
        break;
      case 'rounding-router':
        spells.rounding = { outcome: trouble.toBp, untilMs };
        break;
      case 'failed-restart':
        life.die(100);
        spells.start = { outcome: `error ${trouble.why}\n`, untilMs };
        break;
      case 'moved-name':
        workloads.move(trouble.instance);
        break;
      case 'address-fallback':
        spells.detour = { outcome: trouble.instance, untilMs };
        break;
    }
  }

  /** Commands may be refused; what matters is what they leave behind. */
  function command(order: Command): void {
    const target = life.controller();
    if (!target) return;
    const fleet = target.fleet();
    const active = fleet.services.shop?.active ?? Object.keys(fleet.releases).at(-1) ?? 'shop-1';
    const actor = { kind: 'person' as const, id: order.kind === 'release' ? order.by : 'ada' };
    const key = `key-${keys++}`;
    const ignore = (): void => {};
    if (order.kind !== 'release') {
      const caller = { actor, key };
      if (order.kind === 'promote') target.promote(active, { reason: 'sim', full: false }, caller).catch(ignore);
      else if (order.kind === 'continue') target.acceptLoss({ reason: 'sim', acceptLoss: true }, caller).catch(ignore);
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
    store: () => store,
    gateway,
    supervisor,
    cause,
    command,
    workloads,
    answers,
    spells,
    during,
    start() {
      supervisor.takeStart();
      return Promise.all([workloads.start(), life.start()]);
    },
    controller: life.controller,
    /** Dead or frozen, and not started again yet. */
    controllerDown: () => life.controller() === null,
    fatals: life.fatals,
    unrecorded: life.unrecorded,
    /** How often the ledger was put back. */
    restores: () => restores,
    /** What is in force was not decided by this ledger. */
    isForeign(): boolean {
      const key = tableKey();
      return key !== null && foreign.has(key);
    },
    /** No more deaths at a call. */
    calm: () => life.dieAt(null),
    /** Lets the supervisor do its work: a dead controller comes back when its start is due. */
    supervise(): void {
      past.note(store);
      if (life.controller()) outside.cosign(store);
      else if (supervisor.takeStart()) void life.start();
    },
  };
}

export type World = ReturnType<typeof createWorld>;
