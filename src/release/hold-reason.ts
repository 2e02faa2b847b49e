import { DavyError } from '../lib/error.ts';
import { releaseErrors } from './errors.ts';
import type { FleetState } from './state.ts';

/** Why nothing may be raised: what shows that records are lost, and the way out; null when nothing is held. */
export function holdReason(fleet: FleetState): string | null {
  const { hold } = fleet.traffic;
  if (hold === null) return null;
  const signs = hold.signs.map(({ by, says }) => `${by}: ${says}`).join('; ');
  return `records of this ledger are lost (${signs}); \`davy continue --accept-loss\` goes on from what is in force`;
}

/** A decision that would raise something sees the newest state: a hold may have begun while it was on its way. */
export function refuseHeld(fleet: FleetState): void {
  const why = holdReason(fleet);
  if (why !== null) throw new DavyError(releaseErrors.blocked, `Not now: ${why}.`);
}
