import { messageOf } from '../lib/error.ts';
import { evidenceEvent, releaseOf } from './evidence.ts';
import type { FileLedger } from './file-ledger.ts';
import type { Json, LedgerRecord } from './record.ts';
import { Scrubber } from './scrub.ts';
import { scrubbedBytes } from './scrubbed.ts';

/** Something worth keeping with certain records: a metrics snapshot with a verdict, a dashboard with a promotion. */
export interface EvidenceSource {
  /** For example `metrics`, `distribution`, `dashboard`, `chaos`, `load`. */
  kind: string;
  /** Whether this record calls for it. */
  wants(record: LedgerRecord): boolean;
  /** What there is to keep, or null. Runs outside the path of any decision. */
  collect(record: LedgerRecord): Promise<CollectedFile | null>;
}

export interface CollectedFile {
  name: string;
  type: string;
  desc: string;
  /** Text and JSON are scrubbed like records; bytes are kept as they are. */
  content: Uint8Array | string | Json;
}

export interface CollectorOptions {
  onProblem: (message: string) => void;
  /** Values that are secret in this installation, taken out of every text that is kept. */
  secrets?: readonly string[];
}

/** At most this many collections wait; beyond it the newest are reported and dropped rather than held in memory. */
const MAX_WAITING = 1_000;

/**
 * Attaches evidence by itself: listens to the ledger, asks the sources, stores what they give and records it with the
 * record that called for it as its cause. A source that fails is reported and holds up nobody.
 */
export function startCollector(
  ledger: FileLedger,
  sources: readonly EvidenceSource[],
  options: CollectorOptions,
): { idle(): Promise<void>; stop(): Promise<void> } {
  const { onProblem } = options;
  const scrubber = new Scrubber(options.secrets);
  let waiting = 0;
  let turn: Promise<void> = Promise.resolve();
  const leave = ledger.subscribe((records) => {
    for (const record of records) {
      for (const source of sources) {
        if (!source.wants(record)) continue;
        if (waiting >= MAX_WAITING) {
          onProblem(`${MAX_WAITING} collections wait; ${source.kind} for record ${record.seq} was dropped.`);
          continue;
        }
        waiting += 1;
        turn = turn
          .then(() => collectOne(ledger, source, record, { onProblem, scrubber }))
          .finally(() => {
            waiting -= 1;
          });
      }
    }
  });
  return {
    idle: () => turn,
    async stop() {
      leave();
      await turn;
    },
  };
}

async function collectOne(
  ledger: FileLedger,
  source: EvidenceSource,
  record: LedgerRecord,
  { onProblem, scrubber }: { onProblem: (message: string) => void; scrubber: Scrubber },
): Promise<void> {
  try {
    const file = await source.collect(record);
    if (!file) return;
    const { content, ...meta } = file;
    const att = await ledger.attach(scrubbedBytes(content, scrubber), meta);
    await ledger.append([evidenceEvent(att, { release: releaseOf(record), kind: source.kind, cause: record.id })]);
  } catch (error) {
    onProblem(`Collecting ${source.kind} for record ${record.seq} failed: ${messageOf(error)}.`);
  }
}
