import type { MemoryStore } from '../../src/ledger/memory-ledger.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { lossSigns } from '../../src/loss-signs.ts';
import type { LossSign } from '../../src/release/events.ts';

/** A witness that does not answer at once says what it knows this long after a start at the latest. */
const WITNESS_ANSWERS_WITHIN_MS = 3_000;
const COSIGN_EVERY_MS = 5_000;

/** What is known of the ledger outside of it: the run folder, and a witness where there is one. */
export function createOutside(options: { clock: Clock; witness: boolean; random: () => number }) {
  const { clock } = options;
  let watermark: number | null = null;
  let cosigned = 0;
  let cosignedAtMs = 0;
  /** It has seen another history, and signs this one no more. */
  let refuses = false;

  return {
    /** A controller notes how long the ledger is when it moves traffic. */
    noted(size: number): void {
      watermark = size;
    },
    /** While a controller runs, its checkpoints are taken to the witness. */
    cosign(store: MemoryStore): void {
      if (!options.witness || refuses || clock.monoMs() - cosignedAtMs < COSIGN_EVERY_MS) return;
      cosignedAtMs = clock.monoMs();
      cosigned = store.lines.length;
    },
    /** What a controller hears that opens a ledger of `size` records now. */
    hears(size: number): () => LossSign[] {
      const noted = watermark;
      const ahead = options.witness && cosigned > size ? cosigned : null;
      if (ahead !== null) refuses = true;
      const answersAtMs = clock.monoMs() + options.random() * WITNESS_ANSWERS_WITHIN_MS;
      return () => {
        const aheadSize = clock.monoMs() >= answersAtMs ? ahead : null;
        const witness = { name: 'witness w', size: cosigned, atMs: 0, problem: null, sinceMs: null, aheadSize };
        return lossSigns(size, { watermark: noted, anchors: [witness] });
      };
    },
  };
}
