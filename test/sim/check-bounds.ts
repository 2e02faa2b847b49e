import type { LedgerRecord } from '../../src/ledger/record.ts';
import type { Assert } from './check.ts';
import type { World } from './world.ts';

const WINDOW_MS = 30_000;
/** In a window: differences that are recorded, and tables that say the same as the one before. */
const MAX_DRIFTS = 16;
const MAX_SAME_TABLES = 10;

/** I11: a state that lasts does not fill the ledger, and a person is told of it. */
export function createBoundsCheck(world: World, assert: Assert) {
  let drifts: number[] = [];
  let sameTables: number[] = [];
  let lines = '';
  let notInStepSinceMs: number | null = null;

  function inWindow(times: number[]): number[] {
    const now = world.clock.monoMs();
    return [...times.filter((atMs) => atMs > now - WINDOW_MS), now];
  }

  return {
    record(record: LedgerRecord): void {
      if (record.type === 'traffic.drift.detected') drifts = inWindow(drifts);
      assert(drifts.length <= MAX_DRIFTS, 'I11', `${drifts.length} drifts in ${WINDOW_MS} ms`);
      if (record.type !== 'traffic.intended') return;
      const same = JSON.stringify(record.data.services) === lines;
      lines = JSON.stringify(record.data.services);
      if (same) sameTables = inWindow(sameTables);
      assert(sameTables.length <= MAX_SAME_TABLES, 'I11', `${sameTables.length} equal tables in ${WINDOW_MS} ms`);
    },
    /** A share that is not what was decided is said to be so. */
    step(): void {
      const rounds = world.during(world.spells.rounding) !== null;
      const route = world.gateway.dataPlane.route('shop');
      const wrong = rounds && route?.canary && world.gateway.dataPlane.weightOf('shop') !== route.canary.weightBp;
      const told = world.controller() === null || world.controller()?.trafficProblem() !== null;
      if (!wrong || told) notInStepSinceMs = null;
      else notInStepSinceMs ??= world.clock.monoMs();
      const forMs = world.clock.monoMs() - (notInStepSinceMs ?? world.clock.monoMs());
      assert(forMs < 3_000, 'I11', `nobody is told for ${forMs} ms that the share is not what was decided`);
    },
  };
}
