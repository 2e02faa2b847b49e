import type { LedgerRecord } from '../../src/ledger/record.ts';
import { activeRelease, type FleetState } from '../../src/release/state.ts';
import type { Assert } from './check.ts';
import type { World } from './world.ts';

const RAISES = new Set(['release.requested', 'release.step.decided', 'release.completed']);

/** I10: what was rolled back does not come back unless a person asks for it anew, whatever the ledger has lost. */
export function createLossCheck(world: World, assert: Assert) {
  /** Releases that a table has given a share, and those of them that were ended and taken out again. */
  const served = new Set<string>();
  const over = new Set<string>();
  let gatewayBoot = '';

  function forget(): void {
    served.clear();
    over.clear();
  }

  return {
    /** `fleet`: as it was before the record. */
    record(record: LedgerRecord, fleet: FleetState): void {
      const { type, seq } = record;
      assert(fleet.traffic.hold === null || !RAISES.has(type), 'I10', `record ${seq} (${type}) raises what is held`);
      if (type !== 'release.requested') return;
      // A person asks anew: the number may have been given before in a history that nobody remembers.
      served.delete(String(record.data.release));
      over.delete(String(record.data.release));
    },
    end(fleet: FleetState): void {
      const release = activeRelease(fleet, 'shop');
      const stuck = release && release.step >= 0 && release.weightBp === 0 && fleet.traffic.hold === null;
      assert(!stuck, 'I10', `${release?.id} is in flight at 0 bp, and nobody is waited for`);
    },
    step(fleet: FleetState): void {
      // What took effect without a record is known to the data plane alone, and dies with it.
      const { bootId } = world.gateway.dataPlane;
      if (bootId() !== gatewayBoot && world.unrecorded()) forget();
      gatewayBoot = bootId();
      if (world.isForeign()) return;
      const canary = world.gateway.dataPlane.route('shop')?.canary ?? null;
      const share = canary?.weightBp ?? 0;
      if (canary && share > 0) {
        assert(!over.has(canary.release), 'I10', `${canary.release} came back at ${share} bp`);
        served.add(canary.release);
      }
      const live = world.controller()?.fleet();
      for (const id of served) {
        // What was promoted to the end and lost may be held at less; it was never taken back.
        const undone = ['rolled-back', 'cancelled'].includes(live?.releases[id]?.phase ?? '');
        if (undone && canary?.release !== id) over.add(id);
      }
      const held = fleet.traffic.hold?.services.find(({ service }) => service === 'shop');
      if (!held || world.spells.append) return;
      const active = activeRelease(fleet, 'shop');
      assert(share <= held.weightBp || active === null, 'I10', `${share} bp although ${held.weightBp} bp are held`);
    },
  };
}
