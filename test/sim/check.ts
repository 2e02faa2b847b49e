import type { Look } from '../../src/analysis/judge.ts';
import { judge } from '../../src/analysis/tep-judge.ts';
import { decodeLine, leafHash, ZERO_HASH } from '../../src/ledger/codec.ts';
import type { LedgerRecord } from '../../src/ledger/record.ts';
import type { ReleaseEvent } from '../../src/release/events.ts';
import { evolve } from '../../src/release/evolve.ts';
import { LEASE_TTL_MS } from '../../src/release/route.ts';
import { emptyFleet, type FleetState } from '../../src/release/state.ts';
import { createBoundsCheck } from './check-bounds.ts';
import { createLossCheck } from './check-loss.ts';
import { createTrafficCheck } from './check-traffic.ts';
import type { SimPlan } from './plan.ts';
import type { World } from './world.ts';

/** A broken invariant; the name says which one. */
class Violation extends Error {}

/** Time between a decision and its effect that no fault excuses. */
const APPLY_BOUND_MS = 3000;
/** Looks wait at most this long for the record that carries them, and the first of them covers the time before. */
const LOOK_BATCH_MS = 7000;

export type Assert = (condition: boolean, invariant: string, detail: string) => void;

/** Watches a run: `step` after every slice of time, `end` when it is quiet. */
export function createChecker(plan: SimPlan, world: World) {
  const records: LedgerRecord[] = [];
  let fleet = emptyFleet();
  let prev = ZERO_HASH;
  let downSinceMs: number | null = null;
  let seenGeneration = 0;
  const allowed = new Map<number, number>();
  /** What the canary got in truth, and since when. */
  const weights: { weightBp: number; fromMs: number }[] = [];

  const assert: Assert = (condition, invariant, detail) => {
    if (!condition) throw new Violation(`${invariant}: ${detail} (seed ${plan.seed}, t=${world.clock.monoMs()} ms)`);
  };
  const loss = createLossCheck(world, assert);
  const bounds = createBoundsCheck(world, assert);
  const traffic = createTrafficCheck(world, assert);
  let restores = 0;

  /** Another ledger has taken the place of the one that was read so far: it is read anew, without what was checked before. */
  function rereadWhereRestored(): void {
    if (world.restores() === restores) return;
    restores = world.restores();
    records.length = 0;
    fleet = emptyFleet();
    prev = ZERO_HASH;
    for (const line of world.store().lines) {
      const record = decodeLine(line);
      prev = leafHash(line);
      records.push(record);
      fleet = fold(fleet, record);
    }
  }

  /** I7: dense seq and an unbroken chain; I8: nothing follows the end of a release but its confirmation. */
  function readNew(): void {
    for (const line of world.store().lines.slice(records.length)) {
      const record = decodeLine(line);
      assert(record.seq === records.length, 'I7', `seq ${record.seq} at position ${records.length}`);
      assert(record.prev === prev, 'I7', `record ${record.seq} does not continue the chain`);
      prev = leafHash(line);
      checkOrder(record);
      checkLooks(record);
      loss.record(record, fleet);
      bounds.record(record);
      records.push(record);
      fleet = fold(fleet, record);
    }
  }

  function checkOrder(record: LedgerRecord): void {
    const id = (record.data as { release?: string }).release;
    const release = id === undefined ? undefined : fleet.releases[id];
    if (!release) return;
    const ended = release.endedAtMs !== null;
    const after = ['release.rolledback', 'release.rollback.decided', 'release.observed'];
    assert(!ended || after.includes(record.type), 'I8', `${record.type} after ${id} ended as ${release.phase}`);
    if (record.type === 'release.rollback.decided') {
      assert(release.phase !== 'rolled-back' && release.phase !== 'cancelled', 'I8', `${id} was rolled back twice`);
    }
    if (record.type === 'release.step.decided') {
      const { step, why } = record.data as { step: number; why: string };
      assert(why === 'person' || step === release.step + 1, 'I1', `${id} went from step ${release.step} to ${step}`);
      if (why === 'evidence') assert(release.paused === null, 'I4', `${id} advanced while it was paused`);
      if (why === 'evidence') checkEvidence(record, release.policy.steps[release.step]?.holdMs ?? 0);
    }
  }

  /** A tick counts only under a weight that the data plane had, in truth, during the look or just before it was read back. */
  function checkLooks(record: LedgerRecord): void {
    if (record.type !== 'release.observed' || plan.troubles.some((trouble) => trouble.kind === 'append')) return;
    for (const look of (record.data as unknown as { looks: Look[] }).looks) {
      if (look.tick === null || look.unconfirmed !== undefined) continue;
      const had = weights.map(({ weightBp }) => weightBp);
      assert(
        had.includes(look.weightBp),
        'I4',
        `record ${record.seq} counts at ${look.weightBp} bp, ${had} were in force`,
      );
    }
  }

  function noteWeight(): void {
    const now = world.clock.monoMs();
    const weightBp = world.gateway.dataPlane.weightOf('shop');
    if (weights.at(-1)?.weightBp !== weightBp) weights.push({ weightBp, fromMs: now });
    // Looks are written in batches, so what was in force when the oldest of a batch was taken still counts.
    while (weights.length > 1 && weights[1]!.fromMs < now - LOOK_BATCH_MS) weights.shift();
  }

  /** I4: only evidence raises a weight, and a hold is never shortened. */
  function checkEvidence(record: LedgerRecord, holdMs: number): void {
    const { judgement } = record.data as { judgement: { promote: { passed: boolean }; heldMs: number } | null };
    assert(judgement?.promote.passed === true, 'I4', `record ${record.seq} raises without proof`);
    assert((judgement?.heldMs ?? 0) >= holdMs, 'I4', `record ${record.seq} shortens a hold`);
  }

  /** I2: the weight in force is the last durable decision, its predecessor for a bounded time, or 0. */
  function checkWeight(): void {
    const weightBp = world.gateway.dataPlane.weightOf('shop');
    const now = world.clock.monoMs();
    const active = fleet.services.shop?.active;
    allowed.set(0, Number.POSITIVE_INFINITY);
    if (active) allowed.set(fleet.releases[active]?.weightBp ?? 0, now + APPLY_BOUND_MS);
    assert(Number.isInteger(weightBp) && weightBp >= 0 && weightBp <= 10_000, 'I2', `weight ${weightBp}`);
    const generation = fleet.traffic.generation;
    if (!world.controllerDown() || generation !== seenGeneration) downSinceMs = null;
    if (world.controllerDown()) downSinceMs ??= now;
    seenGeneration = generation;
    // While the data plane or the ledger refuses, the predecessor stays in force: a raise must wait for both.
    const excused = [world.spells.apply, world.spells.append].some(
      (spell) => spell && now < spell.untilMs + APPLY_BOUND_MS + 2000,
    );
    // Somebody else's table, and a share that is rounded, were decided by nobody here.
    const strange =
      world.isForeign() || (world.spells.rounding && now < world.spells.rounding.untilMs + APPLY_BOUND_MS);
    if (downSinceMs === null && !excused && !strange) {
      assert((allowed.get(weightBp) ?? 0) >= now, 'I2', `${weightBp} bp in force without a decision`);
    }
    const leaseOver = downSinceMs !== null && now - downSinceMs > LEASE_TTL_MS + 100;
    assert(
      !leaseOver || weightBp === 0 || world.isForeign(),
      'I1',
      `${weightBp} bp ${LEASE_TTL_MS} ms after the controller died`,
    );
  }

  /** I3: no table without its durable intention, unless the ledger could not be written. */
  async function checkWriteAhead(): Promise<void> {
    const { generation } = await world.gateway.dataPlane.observe();
    if (generation === 0 || world.isForeign()) return;
    const intended = records.some(
      (record) => record.type === 'traffic.intended' && record.data.generation === generation,
    );
    assert(intended || world.spells.append !== null, 'I3', `generation ${generation} was never intended`);
  }

  return {
    async step(): Promise<void> {
      rereadWhereRestored();
      noteWeight();
      readNew();
      checkWeight();
      await checkWriteAhead();
      loss.step(fleet);
      bounds.step();
      traffic.step();
    },
    end(): void {
      readNew();
      const live = world.controller()?.fleet();
      assert(live !== undefined, 'end', 'no controller is running');
      assert(world.controller()?.trafficProblem() === null, 'end', `traffic: ${world.controller()?.trafficProblem()}`);
      assert(sameDecisions(fleet, live as FleetState), 'replay', 'the fold of the ledger differs from the live state');
      checkKeys();
      checkAnswers();
      checkOutcomes();
      loss.end(fleet);
      if (plan.troubles.length === 0) checkUndisturbed();
    },
  };

  /** I6: a key has one effect. */
  function checkKeys(): void {
    const seen = new Set<string>();
    for (const record of records) {
      const key = (record.data as { key?: string }).key;
      if (key === undefined) continue;
      assert(!seen.has(key), 'I6', `key ${key} had two effects`);
      seen.add(key);
    }
  }

  /** The same command with the same key gets the same answer, unless the process died over it. */
  function checkAnswers(): void {
    for (const [key, answers] of world.answers) {
      const agreed = new Set(answers).size <= 1;
      assert(agreed, 'I6', `key ${key} was answered ${answers.join(' and ')}`);
    }
  }

  /** Without trouble and without people a release ends as its version deserves, and nothing drifts. */
  function checkUndisturbed(): void {
    assert(!records.some((record) => record.type === 'traffic.drift.detected'), 'drift', 'drift without a cause');
    if (plan.requestsPerSecond < 100 || plan.commands.length > 1) return;
    const [release] = Object.values(fleet.releases);
    const quality = plan.quality[release?.version ?? ''];
    const stable = plan.quality.v1;
    const says = `${release?.id} is ${release?.phase} (${release?.rollback?.cause})`;
    const clearlyBad = (quality?.errorShare ?? 0) >= 0.2 || (quality?.medianMs ?? 0) > 500;
    if (clearlyBad) assert(release?.phase === 'rolled-back', 'harm', says);
    const good = quality?.errorShare === stable?.errorShare && quality?.medianMs === stable?.medianMs;
    if (!good) return;
    // Slow proof may end by the policy's time limit, and one release in a hundred may be a false alarm of the statistics.
    const excused = release?.rollback?.cause === 'no-data' || release?.rollback?.cause === 'statistical';
    assert(release?.phase !== 'rolled-back' || excused, 'end', says);
  }

  /** A version that fails often never becomes stable by evidence; nothing is left half done. */
  function checkOutcomes(): void {
    for (const release of Object.values(fleet.releases)) {
      const byPerson = records.some(
        (record) =>
          record.type === 'release.step.decided' && record.data.release === release.id && record.data.why === 'person',
      );
      const bad =
        (plan.quality[release.version]?.errorShare ?? 0) >= 0.2 || (plan.quality[release.version]?.medianMs ?? 0) > 500;
      if (bad && !byPerson) assert(release.phase !== 'completed', 'harm', `${release.id} completed although it is bad`);
      const settled = world.clock.nowMs() - (release.endedAtMs ?? 0) > APPLY_BOUND_MS;
      if (release.phase === 'rolled-back' && settled)
        assert(release.zeroConfirmed, 'I8', `${release.id}: traffic 0 was not confirmed`);
      if (plan.requestsPerSecond === 0 && !byPerson) {
        assert(release.phase !== 'completed', 'I4', `${release.id} completed without traffic`);
      }
    }
  }
}

function fold(fleet: FleetState, record: LedgerRecord): FleetState {
  if (!/^(release|service|traffic)\./.test(record.type)) return fleet;
  const event = { type: record.type, data: record.data } as unknown as ReleaseEvent;
  return evolve(fleet, event, { atMs: Date.parse(record.time), by: record.actor.id }, judge);
}

/** Everything but the looks that are not written yet must be equal. */
function sameDecisions(a: FleetState, b: FleetState): boolean {
  const core = (fleet: FleetState): string =>
    JSON.stringify([
      fleet.services,
      fleet.traffic.generation,
      fleet.traffic.hold,
      Object.values(fleet.releases).map(({ id, phase, step, weightBp, revision, paused, held, zeroConfirmed }) => [
        id,
        phase,
        step,
        weightBp,
        revision,
        paused,
        held,
        zeroConfirmed,
      ]),
    ]);
  return core(a) === core(b);
}
