import { join } from 'node:path';

/** Names inside a ledger folder. The layout is public: docs/evidence.md. */
export const layout = {
  description: (dir: string) => join(dir, 'LEDGER.json'),
  publicKey: (dir: string) => join(dir, 'log-key.pem'),
  log: (dir: string) => join(dir, 'log'),
  segment: (dir: string, name: string) => join(dir, 'log', name),
  seals: (dir: string) => join(dir, 'SEALS'),
  checkpoint: (dir: string) => join(dir, 'checkpoint'),
  checkpoints: (dir: string) => join(dir, 'checkpoints'),
  tiles: (dir: string) => join(dir, 'tile'),
  cas: (dir: string) => join(dir, 'cas'),
  torn: (dir: string) => join(dir, 'torn'),
  vault: (dir: string) => join(dir, 'vault'),
  anchors: (dir: string) => join(dir, 'anchors'),
  terms: (dir: string) => join(dir, 'terms'),
  term: (dir: string, term: number) => join(dir, 'terms', String(term)),
  termEnd: (dir: string, term: number) => join(dir, 'terms', `${term}.end`),
  snapshots: (dir: string) => join(dir, 'snap'),
  reserve: (dir: string) => join(dir, 'reserve'),
};

/** Records per sealed segment: 256 full level-0 tiles, so the root of a segment is one node at tile level 2. */
export const SEGMENT_RECORDS = 65_536;

const SEGMENT_NAME = /^(\d{16})\.jsonl$/;

export function segmentName(firstSeq: number): string {
  return `${String(firstSeq).padStart(16, '0')}.jsonl`;
}

/** Seq of a segment's first record, or null when the name is not a segment's. */
export function segmentFirstSeq(name: string): number | null {
  const match = SEGMENT_NAME.exec(name);
  return match ? Number(match[1]) : null;
}
