import { setImmediate } from 'node:timers/promises';
import type { Ledger } from '../ledger/ledger.ts';
import type { LedgerRecord } from '../ledger/record.ts';

/** Finding records: forwards from a seq, or the newest first, a bounded piece at a time with where to go on. */

export interface RecordFilter {
  /** Types that begin like one of these; all when empty. */
  types: string[];
  /** Occurs in type, stream, actor or data, letters compared without case. */
  text: string;
}

export interface RecordPage {
  /** Where to go on: the next seq forwards; backwards the seq before which to look, 0 when nothing is left. */
  next: number;
  records: LedgerRecord[];
}

/** Records that one call looks at. */
const MAX_SCAN = 10_000;
/** Records looked at before other work of the process gets its turn. */
const BLOCK = 500;

export async function searchForwards(
  ledger: Ledger,
  from: number,
  limit: number,
  filter: RecordFilter,
): Promise<RecordPage> {
  const fits = matcher(filter);
  const records: LedgerRecord[] = [];
  let next = Math.min(from, ledger.head().size);
  for await (const record of ledger.read(from)) {
    next = record.seq + 1;
    if (fits(record)) records.push(record);
    if (records.length >= limit || next - from >= MAX_SCAN) break;
    if ((next - from) % BLOCK === 0) await setImmediate();
  }
  return { next, records };
}

/** The newest that fit and stand before a record, newest first. */
export async function searchBackwards(
  ledger: Ledger,
  before: number,
  limit: number,
  filter: RecordFilter,
): Promise<RecordPage> {
  const fits = matcher(filter);
  const records: LedgerRecord[] = [];
  let end = Math.min(before, ledger.head().size);
  const lowest = Math.max(0, end - MAX_SCAN);
  while (end > lowest) {
    const start = Math.max(lowest, end - BLOCK);
    const found = (await range(ledger, start, end)).filter(fits);
    const room = limit - records.length;
    const taken = found.slice(-room).reverse();
    records.push(...taken);
    if (found.length >= room) return { next: taken.at(-1)?.seq ?? start, records };
    end = start;
    await setImmediate();
  }
  return { next: end, records };
}

async function range(ledger: Ledger, start: number, end: number): Promise<LedgerRecord[]> {
  const records: LedgerRecord[] = [];
  for await (const record of ledger.read(start)) {
    if (record.seq >= end) break;
    records.push(record);
  }
  return records;
}

function matcher({ types, text }: RecordFilter): (record: LedgerRecord) => boolean {
  const wanted = text.toLowerCase();
  return (record) => {
    if (types.length > 0 && !types.some((type) => record.type.startsWith(type))) return false;
    if (wanted === '') return true;
    const { type, stream, actor, data } = record;
    return `${type}\n${stream}\n${actor.id}\n${JSON.stringify(data)}`.toLowerCase().includes(wanted);
  };
}
