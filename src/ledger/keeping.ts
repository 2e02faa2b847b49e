import type { Clock } from '../lib/clock.ts';
import { type Anchors, startAnchors } from './anchors.ts';
import { type EvidenceSource, startCollector } from './collector.ts';
import type { FileLedger } from './file-ledger.ts';
import { startHeartbeat } from './heartbeat.ts';
import { parseVerifierKey } from './keys.ts';
import type { LedgerRecord } from './record.ts';

export interface KeepingOptions {
  ledger: FileLedger;
  clock: Clock;
  /** Where checkpoints are taken to; C2SP verifier keys. */
  witnesses: readonly { url: string; vkey: string }[];
  timestamps: { url: string; everyMs: number } | null;
  /** What is attached by itself, and to which records. */
  sources: readonly EvidenceSource[];
  /** Trouble for people: an anchor fails (or works again), the heartbeat could not be written. */
  onNotice: (message: string) => void;
}

/** The end of a release must not wait for its turn to be witnessed. */
const URGENT = new Set(['release.completed', 'release.rolledback', 'release.rollback.decided']);

/** What a ledger that is open needs beside its appends: a heartbeat, and parties outside that keep its checkpoints. */
export function keepLedger(options: KeepingOptions): { anchors: Anchors | null; stop(): Promise<void> } {
  const { ledger, clock, onNotice } = options;
  const targets = options.witnesses.map(({ url, vkey }) => ({ url, verifier: parseVerifierKey(vkey) }));
  const heartbeat = startHeartbeat(ledger, clock, onNotice);
  const collector = startCollector(ledger, options.sources, onNotice);
  const anchors =
    targets.length === 0 && options.timestamps === null
      ? null
      : startAnchors({
          ledger,
          clock,
          witnesses: targets,
          tsaUrl: options.timestamps?.url ?? null,
          ...(options.timestamps && { timestampEveryMs: options.timestamps.everyMs }),
          isUrgent: (record: LedgerRecord) => URGENT.has(record.type),
          onAlarm: (anchor, problem) =>
            onNotice(problem === null ? `${anchor} works again` : `ALARM ${anchor} fails: ${problem}`),
        });
  return {
    anchors,
    async stop() {
      heartbeat.stop();
      await collector.stop();
      await anchors?.close();
    },
  };
}
