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
  /** Values that must never be kept, taken out of what is attached by itself. */
  secrets?: readonly string[];
  /** Trouble that is logged: the heartbeat could not be written, a collection failed. */
  onNotice: (message: string) => void;
  /** A party outside began to fail (`problem` says why) or works again (null): a person must learn of it. */
  onAlarm: (anchor: string, problem: string | null) => void;
}

/** The end of a release must not wait for its turn to be witnessed. */
const URGENT = new Set(['release.completed', 'release.rolledback', 'release.rollback.decided']);

/** What a ledger that is open needs beside its appends: a heartbeat, and parties outside that keep its checkpoints. */
export function keepLedger(options: KeepingOptions): { anchors: Anchors | null; stop(): Promise<void> } {
  const { ledger, clock, onNotice, onAlarm } = options;
  const targets = options.witnesses.map(({ url, vkey }) => ({ url, verifier: parseVerifierKey(vkey) }));
  const heartbeat = startHeartbeat(ledger, clock, onNotice);
  const collector = startCollector(ledger, options.sources, { onProblem: onNotice, secrets: options.secrets ?? [] });
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
          onAlarm,
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
