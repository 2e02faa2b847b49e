import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '../lib/write-file.ts';
import type { Ledger } from './ledger.ts';
import type { LedgerRecord } from './record.ts';

/** How many records a ledger had by what was noted outside its folder; null when nothing that can be read says so. */
export function readWatermark(file: string): number | null {
  try {
    const { size } = JSON.parse(readFileSync(file, 'utf8')) as { size?: unknown };
    return Number.isSafeInteger(size) ? Number(size) : null;
  } catch {
    return null;
  }
}

/**
 * Notes the size of the ledger at every record that `counts`. Ledgers are put back from copies, and a copy has fewer records
 * than this file has seen. Returns the function that ends it.
 */
export function keepWatermark(
  ledger: Ledger,
  file: string,
  options: { counts: (record: LedgerRecord) => boolean; onProblem: (error: unknown) => void },
): () => void {
  return ledger.subscribe((records) => {
    if (!records.some(options.counts)) return;
    try {
      writeFileAtomic(file, JSON.stringify({ size: records.at(-1)!.seq + 1 }));
    } catch (error) {
      options.onProblem(error);
    }
  });
}
