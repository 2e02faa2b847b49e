import { DavyError } from '../lib/error.ts';
import { type Disk, errorCode, writeFileDurably } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import { layout } from './layout.ts';

/** Where a writer left the ledger when it closed. */
export interface EndMark {
  term: number;
  size: number;
  tip: string;
}

export interface TermHistory {
  /** Highest term ever claimed, 0 when none. */
  last: number;
  /** The end mark of the highest term that has one. */
  end: EndMark | null;
}

export async function readTerms(disk: Disk, dir: string): Promise<TermHistory> {
  const names = await disk.list(layout.terms(dir));
  const last = Math.max(0, ...names.filter((name) => /^\d+$/.test(name)).map(Number));
  const ended = names
    .filter((name) => /^\d+\.end$/.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => b - a);
  for (const term of ended) {
    const end = parseEnd((await disk.read(layout.termEnd(dir, term))).toString('utf8'));
    if (end) return { last, end: { term, ...end } };
  }
  return { last, end: null };
}

function parseEnd(text: string): { size: number; tip: string } | null {
  const parts = /^(\d+) ([0-9a-f]{64})\n$/.exec(text);
  return parts && { size: Number(parts[1]), tip: parts[2]! };
}

export interface TermClaim {
  /** The highest term claimed so far. */
  after: number;
  /** A term that is known outside, for example to a data plane: the new one is above it, too. */
  above: number;
  writerId: string;
}

/**
 * Claims a term above all others: one file per writer ever, made by link(), which fails when the name is taken. A writer
 * that finds the term after its own has been replaced and stops; so that term is always claimed, also by one that goes further.
 */
export async function claimTerm(disk: Disk, dir: string, { after, above, writerId }: TermClaim): Promise<number> {
  const term = Math.max(after, above) + 1;
  const temporary = `${layout.terms(dir)}/claim.tmp`;
  await writeFileDurably(disk, temporary, Buffer.from(`${writerId}\n`));
  try {
    for (const name of new Set([after + 1, term])) await disk.link(temporary, layout.term(dir, name));
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    throw new DavyError(ledgerErrors.locked, `Another writer took a term of ${dir} at the same moment.`);
  } finally {
    await disk.remove(temporary);
  }
  await disk.syncDir(layout.terms(dir));
  return term;
}

export async function markEnd(disk: Disk, dir: string, end: EndMark): Promise<void> {
  await writeFileDurably(disk, layout.termEnd(dir, end.term), Buffer.from(`${end.size} ${end.tip}\n`));
}
