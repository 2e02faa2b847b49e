import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LedgerRecord } from '../../src/ledger/record.ts';

/** Every record of a data folder's ledger, as its files have them; a last line that is still being written is left out. */
export function recordsIn(dataDir: string): LedgerRecord[] {
  const folder = join(dataDir, 'ledger', 'log');
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  const text = files.sort().map((name) => readFileSync(join(folder, name), 'utf8'));
  const lines = text.join('').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as LedgerRecord);
}
