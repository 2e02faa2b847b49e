import { hash } from 'node:crypto';
import { DavyError } from '../lib/error.ts';
import { ChainCheck } from './chain-check.ts';
import { parseTreeHead, type TreeHead } from './checkpoint.ts';
import { ZERO_HASH } from './codec.ts';
import type { Disk } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import { applyFacts, factsOf, isDescription, type LedgerFacts, openLedgerCheckpoint } from './facts.ts';
import type { ChainRecord } from './fast-line.ts';
import { layout, SEGMENT_RECORDS, segmentName } from './layout.ts';
import { locateAlteration } from './locate.ts';
import { parseNote } from './note.ts';
import type { LedgerRecord } from './record.ts';
import {
  bytesAfter,
  type Cut,
  judgeTail,
  keepTorn,
  removeSegmentsAfter,
  rewriteSegment,
  tamperedError,
  truncatedError,
} from './recover.ts';
import { listSegments, type ReplayResult, replay } from './replay.ts';
import { repairSeals, unsealedSegments } from './seals.ts';
import type { OpenSegment } from './segment-log.ts';
import { emptyState, type SequencerState } from './sequencer.ts';
import { loadSnapshot, type Snapshot } from './snapshot.ts';
import { readTerms, type TermHistory } from './terms.ts';
import { TileWriter } from './tiles.ts';
import { Frontier } from './tree.ts';

/** What recovery did after an unclean stop; becomes the data of a `ledger.recovered` record. */
export interface Recovery {
  /** Records above the last checkpoint or clean end: kept, though nobody knows whether they had been acknowledged. */
  keptUnacked: number;
  cutBytes: number;
  cutSha256: string | null;
}

export interface OpenedLog {
  state: SequencerState;
  frontier: Frontier;
  tiles: TileWriter;
  /** Null for a ledger without records. */
  facts: LedgerFacts | null;
  open: OpenSegment;
  segmentBytes: number[];
  recovery: Recovery | null;
  terms: TermHistory;
}

/** A size at which the ledger's root or tip is known from outside the log. */
interface Expectation {
  size: number;
  root?: string;
  tip?: string;
  source: string;
}

interface Walk {
  check: ChainCheck;
  tiles: TileWriter;
  facts: LedgerFacts | null;
  result: ReplayResult;
  /** The newest expectation that held, and the first that did not. */
  agreedSize: number;
  disagreed: Expectation | null;
}

/** Reads, checks and where a crash tore it repairs the log. Throws when it is not what was written. */
export async function openLog(disk: Disk, dir: string): Promise<OpenedLog> {
  const terms = await readTerms(disk, dir);
  const heads = await readTreeHeads(disk, dir);
  const expectations = [...heads, ...endExpectation(terms)].sort((a, b) => a.size - b.size);
  const floor = expectations.at(-1)?.size ?? 0;
  await removeLeftovers(disk, dir);
  const walk = await walkLog(disk, dir, expectations, floor);
  if (walk.disagreed) throw await rewrittenError(disk, dir, walk.agreedSize, walk.disagreed);
  const clean = terms.last > 0 && terms.end?.term === terms.last;
  const stop = walk.result.stop;
  const rest = stop ? await bytesAfter(disk, dir, stop.file, stop.offset) : Buffer.alloc(0);
  const cut = judgeTail(walk.result, walk.check, rest, { floor, clean });
  checkSignatures(walk, heads);
  if (clean && !cut) return finish(disk, dir, walk, null, terms);
  if (walk.check.size === 0 && !cut) return finish(disk, dir, walk, null, terms);
  const recovery = await repairTail(disk, dir, walk, cut, floor);
  if (!cut) return finish(disk, dir, walk, recovery, terms);
  const again = await walkLog(disk, dir, expectations, floor);
  return finish(disk, dir, again, recovery, terms);
}

async function finish(
  disk: Disk,
  dir: string,
  walk: Walk,
  recovery: Recovery | null,
  terms: TermHistory,
): Promise<OpenedLog> {
  const { frontier } = walk.check;
  const state = walk.check.toState();
  const open = walk.result.last;
  await repairSeals(disk, dir, open.firstSeq);
  const segmentBytes = (await listSegments(disk, dir)).filter((s) => s.firstSeq < open.firstSeq).map((s) => s.bytes);
  return { state, frontier, tiles: walk.tiles, facts: walk.facts, open, segmentBytes, recovery, terms };
}

/** Replays from the newest usable snapshot; when that disagrees with a checkpoint, everything, to name the place. */
async function walkLog(disk: Disk, dir: string, expectations: Expectation[], floor: number): Promise<Walk> {
  const snapshot = await usableSnapshot(disk, dir, floor);
  if (snapshot) {
    const walk = await walkFrom(disk, dir, expectations, snapshot);
    if (!walk.disagreed && !walk.result.stop) return walk;
  }
  return walkFrom(disk, dir, expectations, null);
}

/** A snapshot counts only if the files below it still have the lengths, and the open one the bytes, that it saw. */
async function usableSnapshot(disk: Disk, dir: string, floor: number): Promise<Snapshot | null> {
  const snapshot = await loadSnapshot(disk, dir, floor);
  if (!snapshot) return null;
  const segments = await listSegments(disk, dir);
  const older = segments.filter((s) => s.firstSeq < snapshot.open.firstSeq).map((s) => s.bytes);
  if (older.join() !== snapshot.segmentBytes.join()) return null;
  const openName = segmentName(snapshot.open.firstSeq);
  if (!segments.some((s) => s.name === openName && s.bytes >= snapshot.open.bytes)) return null;
  const prefix = await disk.read(layout.segment(dir, openName), 0, snapshot.open.bytes);
  return hash('sha256', prefix, 'hex') === snapshot.openSha256 ? snapshot : null;
}

async function walkFrom(
  disk: Disk,
  dir: string,
  expectations: Expectation[],
  snapshot: Snapshot | null,
): Promise<Walk> {
  const check = snapshot
    ? new ChainCheck(snapshot.state, snapshot.frontier)
    : new ChainCheck(emptyState(ZERO_HASH), new Frontier());
  const tiles = new TileWriter(disk, dir, check.frontier, snapshot?.tiles ?? []);
  const startSize = check.size;
  const pending = expectations.filter((e) => e.size >= startSize);
  let at = 0;
  let agreedSize = 0;
  let disagreed: Expectation | null = null;
  let facts: LedgerFacts | null = snapshot?.facts ?? null;
  const compare = (): void => {
    for (let e = pending[at]; e && e.size === check.size; e = pending[++at]) {
      const same =
        (e.root === undefined || e.root === check.frontier.rootHex()) && (e.tip === undefined || e.tip === check.tip);
      if (!same) disagreed ??= e;
      else if (!disagreed) agreedSize = e.size;
    }
  };
  const onRecord = (record: ChainRecord): void => {
    if (record.seq === 0) facts = factsOf(record as LedgerRecord);
    else if (facts && isDescription(record)) applyFacts(facts, record);
    if (pending[at]?.size === check.size) compare();
  };
  compare();
  const segmentRecords = await segmentRecordsOf(disk, dir);
  const result = await replay(disk, dir, check, { segmentRecords, onRecord, ...(snapshot && { from: snapshot.open }) });
  return { check, tiles, facts, result, agreedSize, disagreed };
}

/** From the first line, which every ledger has; the largest allowed when there is none yet. */
async function segmentRecordsOf(disk: Disk, dir: string): Promise<number> {
  const first = await readFirstRecord(disk, dir);
  return first ? factsOf(first).segmentRecords : SEGMENT_RECORDS;
}

export async function readFirstRecord(disk: Disk, dir: string): Promise<LedgerRecord | null> {
  const path = layout.segment(dir, segmentName(0));
  if (!(await disk.stat(path))) return null;
  const head = await disk.read(path, 0, 65_536);
  const end = head.indexOf(10);
  if (end === -1) return null;
  try {
    return JSON.parse(head.toString('utf8', 0, end)) as LedgerRecord;
  } catch (error) {
    throw new DavyError(ledgerErrors.tampered, 'Record 0 in log/0000000000000000.jsonl is not JSON.', { cause: error });
  }
}

interface HeadExpectation extends Expectation {
  root: string;
  note: string;
  head: TreeHead;
}

/** The published checkpoint and every anchored one. Their signatures are checked once the key is known from record 0. */
async function readTreeHeads(disk: Disk, dir: string): Promise<HeadExpectation[]> {
  const paths: string[] = [];
  if (await disk.stat(layout.checkpoint(dir))) paths.push(layout.checkpoint(dir));
  for (const name of await disk.list(layout.checkpoints(dir))) {
    if (/^\d+$/.test(name)) paths.push(`${layout.checkpoints(dir)}/${name}`);
  }
  const heads: HeadExpectation[] = [];
  for (const path of paths) {
    const note = (await disk.read(path)).toString('utf8');
    const head = parseTreeHead(parseNote(note).text);
    heads.push({ size: head.size, root: head.root, source: `the checkpoint of size ${head.size}`, note, head });
  }
  return heads;
}

function checkSignatures(walk: Walk, heads: HeadExpectation[]): void {
  if (heads.length === 0) return;
  if (!walk.facts) throw truncatedError(0, heads.at(-1)!.size);
  for (const { note } of heads) openLedgerCheckpoint(note, walk.facts);
}

function endExpectation(terms: TermHistory): Expectation[] {
  const { end } = terms;
  return end ? [{ size: end.size, tip: end.tip, source: `the clean end of term ${end.term}` }] : [];
}

async function rewrittenError(disk: Disk, dir: string, agreedSize: number, failed: Expectation): Promise<DavyError> {
  const { size, root, source } = failed;
  const exact = root === undefined ? null : await locateAlteration(disk, dir, { size, root });
  if (exact !== null)
    return new DavyError(ledgerErrors.tampered, `Record ${exact} is not what ${source} was made for.`);
  const range =
    failed.size - agreedSize === 1 ? `Record ${agreedSize} is` : `Records from ${agreedSize} to ${failed.size - 1} are`;
  return new DavyError(ledgerErrors.tampered, `${range} not what ${source} was made for.`);
}

/** Temporary files of a rewrite that a crash interrupted. */
async function removeLeftovers(disk: Disk, dir: string): Promise<void> {
  for (const name of await disk.list(layout.log(dir))) {
    if (name.endsWith('.tmp')) await disk.remove(layout.segment(dir, name));
  }
}

async function repairTail(disk: Disk, dir: string, walk: Walk, cut: Cut | null, floor: number): Promise<Recovery> {
  const recovery: Recovery = { keptUnacked: 0, cutBytes: 0, cutSha256: null };
  const keptSize = cut ? cut.seq : walk.check.size;
  recovery.keptUnacked = Math.max(0, keptSize - floor);
  const unsealed = await unsealedSegments(disk, dir);
  if (cut) {
    if (!unsealed.includes(cut.file)) {
      throw tamperedError({ seq: cut.seq, why: 'is damaged in a sealed segment' }, cut.file);
    }
    const torn = await bytesAfter(disk, dir, cut.file, cut.offset);
    recovery.cutBytes = torn.length;
    recovery.cutSha256 = await keepTorn(disk, dir, torn);
  }
  for (const name of unsealed) {
    if (cut && name > cut.file) continue;
    const stat = await disk.stat(layout.segment(dir, name));
    await rewriteSegment(disk, dir, name, cut?.file === name ? cut.offset : (stat?.size ?? 0));
  }
  if (cut) await removeSegmentsAfter(disk, dir, cut.file);
  return recovery;
}
