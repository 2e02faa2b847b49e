import { activeRelease } from '../../src/release/state.ts';
import type { Assert } from './check.ts';
import type { World } from './world.ts';

/** An instance that moved is reached at its new address within this, whatever else goes on. */
const FOLLOW_WITHIN_MS = 4_000;

/** I12: traffic never stops, and never goes astray, because a controller fails. */
export function createTrafficCheck(world: World, assert: Assert) {
  let astraySinceMs: number | null = null;
  let higherSinceMs: number | null = null;

  /** The table gives a canary more than the controller that runs has decided. */
  function isHigher(): boolean {
    const fleet = world.controller()?.fleet();
    const decidedBp = fleet ? (activeRelease(fleet, 'shop')?.weightBp ?? 0) : 10_000;
    return (world.gateway.dataPlane.route('shop')?.canary?.weightBp ?? 0) > decidedBp;
  }

  /** An instance of the table in force that is ready at another address now. */
  function astray(): string | null {
    const there = new Map(world.workloads.list().map((status) => [status.id, status]));
    const versions = world.gateway.dataPlane.route('shop')?.versions ?? [];
    for (const { id, port } of versions.flatMap(({ instances }) => instances)) {
      const status = there.get(id);
      if (status?.phase === 'ready' && status.port !== port) return id;
    }
    return null;
  }

  return {
    step(): void {
      assert(world.gateway.runs(), 'I12', 'the gateway was ended by a controller that could not start');
      const gaveUp = world.supervisor.gaveUp();
      assert(gaveUp === null, 'I12', `the supervisor gave up (${gaveUp}) while traffic flowed`);
      const said = world.supervisor.said();
      assert(
        said.every((text, i) => text !== said[i - 1]),
        'I12',
        `said twice: ${said.at(-1)}`,
      );
      const now = world.clock.monoMs();
      // A foreign table may name anything; one that cannot be applied, or written down, has to wait.
      const excused =
        world.controllerDown() ||
        world.isForeign() ||
        [world.spells.apply, world.spells.append].some((spell) => spell && now < spell.untilMs + FOLLOW_WITHIN_MS);
      const id = excused ? null : astray();
      if (id === null) astraySinceMs = null;
      else astraySinceMs ??= now;
      const forMs = now - (astraySinceMs ?? now);
      if (excused || !isHigher()) higherSinceMs = null;
      else higherSinceMs ??= now;
      const higherMs = now - (higherSinceMs ?? now);
      assert(higherMs < FOLLOW_WITHIN_MS, 'I12', `a lower weight was decided ${higherMs} ms ago and not asserted`);
      assert(forMs < FOLLOW_WITHIN_MS, 'I12', `requests for ${id} go to its old address for ${forMs} ms`);
    },
  };
}
