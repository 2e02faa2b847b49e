import type { EvidenceSource } from './collector.ts';
import { releaseOf } from './evidence.ts';
import type { Json, LedgerRecord } from './record.ts';

const DECISIONS = new Set(['release.step.decided', 'release.rollback.decided', 'release.completed']);
const ENDS = new Set(['release.completed', 'release.rolledback']);

const about = (record: LedgerRecord): string => releaseOf(record) ?? record.stream;
const lastWord = (record: LedgerRecord): string => record.type.split('.').slice(1).join('-');

/** The counters of the data plane at every decision of a release, as a scrape would have shown them. */
export function metricsSource(text: () => Promise<string>): EvidenceSource {
  return {
    kind: 'metrics',
    wants: (record) => DECISIONS.has(record.type),
    collect: async (record) => ({
      name: `metrics-${lastWord(record)}.prom`,
      type: 'text/plain; version=0.0.4',
      desc: `Counters of the data plane at "${record.type}" of ${about(record)} (record ${record.seq})`,
      content: await text(),
    }),
  };
}

/** What the data plane had in force and measured when a release ended: the split, the canary's exposure. */
export function distributionSource(observed: () => Json | null): EvidenceSource {
  return {
    kind: 'distribution',
    wants: (record) => ENDS.has(record.type),
    collect: async (record) => {
      const state = observed();
      if (state === null) return null;
      return {
        name: `distribution-${lastWord(record)}.json`,
        type: 'application/json',
        desc: `Routes in force and traffic measured at the end of ${about(record)} (record ${record.seq})`,
        content: state,
      };
    },
  };
}

/** The result of a rehearsal, as a file of its own beside the record. */
export function chaosSource(): EvidenceSource {
  return {
    kind: 'chaos',
    wants: (record) => record.type === 'chaos.concluded',
    collect: async (record) => ({
      name: `chaos-${String(record.data.run)}.json`,
      type: 'application/json',
      desc: `Result of the rehearsal ${String(record.data.run)} (record ${record.seq})`,
      content: record.data,
    }),
  };
}
