import { own } from '../lib/own.ts';
import type { Spec } from '../spec/model.ts';
import type { DataPlaneState } from '../traffic/dataplane.ts';
import type { LossSign } from './events.ts';
import { decideHold } from './hold.ts';
import { holdReason } from './hold-reason.ts';
import type { ReleaseStore } from './store.ts';

export interface LossWatchParts {
  spec: Spec;
  store: ReleaseStore;
  /** The highest term that the ledger knew before this controller took its own. */
  knownTerm: number;
  /** What others outside know; asked again and again. */
  elsewhere: () => readonly LossSign[];
}

/** Finds out whether the ledger has lost records, and holds everything when it has. */
export interface LossWatch {
  /** Before the first table: what the data plane has may be newer than this ledger. */
  compare(dataPlane: DataPlaneState): Promise<void>;
  /** Later: somebody outside, a witness for example, may only now have said what they know. */
  listen(): Promise<void>;
  /** Why nothing may be raised; null when it may. */
  raiseBlocked(): string | null;
}

export function createLossWatch({ spec, store, knownTerm, elsewhere }: LossWatchParts): LossWatch {
  let compared = false;

  async function hold(dataPlane: DataPlaneState | null): Promise<void> {
    const declares = (service: string, version: string): boolean =>
      own(own(spec.services, service)?.versions, version) !== undefined;
    const seen = { dataPlane, knownTerm, elsewhere: elsewhere(), declares };
    if (decideHold(store.fleet(), seen).length === 0) return;
    await store.commit((fleet) => decideHold(fleet, seen), { lowering: true });
  }

  return {
    async compare(dataPlane) {
      await hold(dataPlane);
      compared = true;
    },
    async listen() {
      if (compared) await hold(null);
    },
    raiseBlocked() {
      if (!compared) return 'the data plane has not been compared with the ledger yet';
      return holdReason(store.fleet());
    },
  };
}
