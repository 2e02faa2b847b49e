import { resolve } from 'node:path';
import { DavyError, messageOf } from '../lib/error.ts';
import { attachmentProblem } from './cas.ts';
import { ChainCheck } from './chain-check.ts';
import { parseTreeHead } from './checkpoint.ts';
import { ZERO_HASH } from './codec.ts';
import { cosignedAt } from './cosignature.ts';
import type { Disk } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import { ANCHORED, applyFacts, factsOf, isDescription, type LedgerFacts, openLedgerCheckpoint } from './facts.ts';
import { joinSegments } from './join-segments.ts';
import { parseVerifierKey } from './keys.ts';
import { layout, SEGMENT_RECORDS, segmentFirstSeq, segmentName } from './layout.ts';
import { locateAlteration } from './locate.ts';
import { nodeDisk } from './node-disk.ts';
import { parseNote } from './note.ts';
import { policyKeys } from './policy.ts';
import type { LedgerRecord } from './record.ts';
import { listSegments, replay, type SegmentFile } from './replay.ts';
import { readSeals } from './seals.ts';
import type { SegmentTask } from './segment-check.ts';
import { fileSha256 } from './segment-log.ts';
import { PARALLEL_FROM_BYTES, runOnSegments } from './segment-pool.ts';
import { readTerms } from './terms.ts';
import { EMPTY_ROOT_HEX } from './tree.ts';

/** The first thing that is not what was written. */
export interface BadRecord {
  /** Seq of the record concerned; for a whole file, of its first record. */
  seq: number;
  /** Path inside the ledger folder. */
  file: string;
  why: string;
}

export interface VerifyWarning {
  code: string;
  seq: number;
  says: string;
}

export interface VerifyResult {
  ok: boolean;
  origin: string;
  /** Records found intact, from the first on. */
  size: number;
  /** Merkle root (hex) over them. */
  root: string;
  firstBad: BadRecord | null;
  /** The newest checkpoint that each witness has cosigned, with the time (seconds since the epoch) it signed. */
  witnessed: { name: string; size: number; timeSec: number }[];
  /** Size of the newest checkpoint whose signature and root hold; null when there is none. */
  checkpointSize: number | null;
  /** Bytes of a record that a writer is just writing, or that a crash tore; no complete record. */
  unfinishedBytes: number;
  warnings: VerifyWarning[];
}

export interface VerifyOptions {
  disk?: Disk;
  /** Hash the attachments too; default true. */
  attachments?: boolean;
  /** A checkpoint (signed note) that the caller kept from earlier: the ledger must still contain it. */
  from?: string;
  /** Verifier keys of witnesses whose cosignatures count, beside those that record 0 names. */
  witnesses?: readonly string[];
  /** The C2SP verifier key that the caller knows the ledger by; without it the key in record 0 is believed. */
  vkey?: string;
  /** From this length on the segments are checked on all cores; default 16 MB. */
  parallelFromBytes?: number;
  /** This thread takes its share too: quicker, but for programs that do nothing else. Default false. */
  useThisThread?: boolean;
  onProgress?: (progress: { bytes: number; totalBytes: number; records: number }) => void;
}

/** A size at which the root is known, and from where. */
interface KnownRoot {
  size: number;
  root: string;
  note: string;
  file: string;
  /** Filled while walking. */
  holds: boolean | null;
}

/**
 * Checks a ledger folder, live or copied, with nothing but its files: every line (form, chain, place), the Merkle tree,
 * the signed checkpoints, the seals. It changes nothing and needs no server. Rejects only when there is no ledger to
 * check or `from` is not a checkpoint of it; everything found wrong is in the result.
 */
export async function verifyLedger(dir: string, options: VerifyOptions = {}): Promise<VerifyResult> {
  const verification = new Verification(options.disk ?? nodeDisk, resolve(dir), options);
  return verification.run();
}

/** What the walk found intact. */
interface Found {
  size: number;
  root: string;
  tip: string;
  clockSteps: number[];
}

/** Allowed between the clocks of the machine and of a witness. */
const MAX_DRIFT_MS = 2_000;
/** From a cosignature to its record: the other witnesses, the timestamp, and the whole second that a witness cuts off. */
const ANCHOR_WITHIN_MS = 21_000;

class Verification {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #options: VerifyOptions;
  #found: Found = { size: 0, root: EMPTY_ROOT_HEX, tip: ZERO_HASH, clockSteps: [] };
  /** SHA-256 of segments that were hashed on the way. */
  readonly #hashes = new Map<string, string>();
  readonly #bad: BadRecord[] = [];
  readonly #warnings: VerifyWarning[] = [];
  #facts: LedgerFacts | null = null;
  #known: KnownRoot[] = [];
  #unfinishedBytes = 0;
  /** Seq of the first record that names each attachment. */
  readonly #attachments = new Map<string, number>();
  #compared = 0;

  constructor(disk: Disk, dir: string, options: VerifyOptions) {
    this.#disk = disk;
    this.#dir = dir;
    this.#options = options;
  }

  async run(): Promise<VerifyResult> {
    await this.#loadKnownRoots();
    await this.#walk();
    await this.#judgeKnownRoots();
    await this.#checkSeals();
    await this.#checkEndMark();
    await this.#checkAttachments();
    for (const seq of this.#found.clockSteps) {
      const says = `Record ${seq} claims an earlier time than record ${seq - 1}.`;
      this.#warnings.push({ code: ledgerErrors['clock-stepped-back'].code, seq, says });
    }
    this.#bad.sort((a, b) => a.seq - b.seq);
    const held = this.#known.filter((known) => known.holds);
    return {
      ok: this.#bad.length === 0,
      origin: this.#facts?.origin ?? '',
      size: this.#found.size,
      root: this.#found.root,
      firstBad: this.#bad[0] ?? null,
      witnessed: this.#witnessed(held),
      checkpointSize: held.at(-1)?.size ?? null,
      unfinishedBytes: this.#unfinishedBytes,
      warnings: this.#warnings,
    };
  }

  async #loadKnownRoots(): Promise<void> {
    const { from } = this.#options;
    if (from !== undefined) this.#addKnownRoot(from, 'the checkpoint given');
    const files: string[] = [];
    if (await this.#disk.stat(layout.checkpoint(this.#dir))) files.push('checkpoint');
    for (const name of await this.#disk.list(layout.checkpoints(this.#dir))) {
      if (/^\d+$/.test(name)) files.push(`checkpoints/${name}`);
    }
    for (const file of files) {
      const note = (await this.#disk.read(`${this.#dir}/${file}`)).toString('utf8');
      try {
        this.#addKnownRoot(note, file);
      } catch (error) {
        this.#bad.push({ seq: 0, file, why: messageOf(error) });
      }
    }
    this.#known.sort((a, b) => a.size - b.size);
  }

  #addKnownRoot(note: string, file: string): void {
    const head = parseTreeHead(parseNote(note).text);
    this.#known.push({ size: head.size, root: head.root, note, file, holds: null });
  }

  async #walk(): Promise<void> {
    const segments = await listSegments(this.#disk, this.#dir);
    if (segments.length === 0) {
      throw new DavyError(ledgerErrors['not-a-ledger'], `${this.#dir} holds no log/0000000000000000.jsonl.`);
    }
    await this.#reportStrangers();
    const totalBytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    const isLong = totalBytes >= (this.#options.parallelFromBytes ?? PARALLEL_FROM_BYTES) && this.#disk === nodeDisk;
    if (isLong && (await this.#walkSideBySide(segments, totalBytes))) return;
    await this.#walkInOrder(segments, totalBytes);
  }

  /** Segment by segment on all cores. False when anything does not fit: the walk in order then names it. */
  async #walkSideBySide(segments: SegmentFile[], totalBytes: number): Promise<boolean> {
    const progress = { bytes: 0, totalBytes, records: 0 };
    const tasks = segments.map((segment, i): SegmentTask => {
      const next = segments[i + 1]?.firstSeq ?? Number.MAX_SAFE_INTEGER;
      const sizes = this.#known.map(({ size }) => size).filter((size) => size > segment.firstSeq && size <= next);
      return { path: layout.segment(this.#dir, segment.name), firstSeq: segment.firstSeq, bytes: segment.bytes, sizes };
    });
    const onProgress = (bytes: number, records: number): void => {
      progress.bytes += bytes;
      progress.records += records;
      this.#options.onProgress?.({ ...progress });
    };
    // without threads the walk in order does it all
    const here = this.#options.useThisThread ?? false;
    const reports = await runOnSegments('check', tasks, { here, onProgress }).catch(() => null);
    if (!reports) return false;
    const first = reports[0]?.descriptions[0];
    const joined = first?.seq === 0 ? joinSegments(reports, factsOf(first).segmentRecords) : null;
    if (!joined) return false;
    for (const [i, report] of reports.entries()) {
      this.#hashes.set(segments[i]!.name, report.sha256);
      for (const record of report.descriptions) this.#onDescription(record);
      for (const [sha256, seq] of report.attachments) this.#onAttachment(sha256, seq);
    }
    for (const known of this.#known) {
      const root = known.size === 0 ? EMPTY_ROOT_HEX : joined.roots.get(known.size);
      if (root !== undefined) known.holds = known.root === root;
    }
    this.#unfinishedBytes = joined.trailingBytes;
    this.#found = { ...joined, root: joined.frontier.rootHex() };
    return true;
  }

  async #walkInOrder(segments: SegmentFile[], totalBytes: number): Promise<void> {
    let bytes = 0;
    const check = new ChainCheck();
    this.#compare(check);
    const result = await replay(this.#disk, this.#dir, check, {
      segmentRecords: SEGMENT_RECORDS,
      onRecord: (record) => {
        if (record.seq === 0 || isDescription(record)) this.#onDescription(record as LedgerRecord);
        if (record.att) for (const { sha256 } of record.att) this.#onAttachment(sha256, record.seq);
        if (this.#known[this.#compared]?.size === check.size) this.#compare(check);
      },
      onChunk: (length) => {
        bytes += length;
        this.#options.onProgress?.({ bytes, totalBytes, records: check.size });
      },
    });
    const { size, tip } = check;
    this.#found = { size, tip, root: check.frontier.rootHex(), clockSteps: check.clockSteps };
    for (const segment of segments) {
      if (!this.#facts || segment.firstSeq % this.#facts.segmentRecords === 0) continue;
      this.#bad.push({ seq: segment.firstSeq, file: `log/${segment.name}`, why: 'begins where no segment begins' });
    }
    if (!result.stop) return;
    const { file, offset, problem } = result.stop;
    const last = segments.at(-1)!;
    const isTail = file === last.name && problem.why === 'does not end in a newline';
    if (isTail) this.#unfinishedBytes = last.bytes - offset;
    else this.#bad.push({ seq: problem.seq, file: this.#fileOf(problem.seq, file), why: problem.why });
  }

  #fileOf(seq: number, fallback: string): string {
    return `log/${this.#facts ? segmentName(Math.floor(seq / this.#facts.segmentRecords) * this.#facts.segmentRecords) : fallback}`;
  }

  #onAttachment(sha256: string, seq: number): void {
    if (!this.#attachments.has(sha256)) this.#attachments.set(sha256, seq);
  }

  #onDescription(record: LedgerRecord): void {
    try {
      if (record.seq === 0) this.#facts = this.#expectKey(factsOf(record));
      else if (this.#facts) applyFacts(this.#facts, record);
      if (record.type === ANCHORED) this.#compareClocks(record);
    } catch (error) {
      this.#bad.push({ seq: record.seq, file: this.#fileOf(record.seq, segmentName(0)), why: messageOf(error) });
    }
  }

  /** A witness signs with its own clock: far apart from it, the times that the records claim mislead. */
  #compareClocks(record: LedgerRecord): void {
    const times = record.data.cosigned_at;
    if (typeof times !== 'object' || times === null || Array.isArray(times)) return;
    for (const [name, timeSec] of Object.entries(times)) {
      if (typeof timeSec !== 'number') continue;
      const driftMs = Date.parse(record.time) - timeSec * 1_000;
      if (driftMs > -MAX_DRIFT_MS && driftMs < MAX_DRIFT_MS + ANCHOR_WITHIN_MS) continue;
      const says = `Record ${record.seq} claims ${record.time}, the witness ${name} signed at ${new Date(timeSec * 1_000).toISOString()}.`;
      this.#warnings.push({ code: ledgerErrors['clock-drift'].code, seq: record.seq, says });
    }
  }

  #witnessed(held: readonly KnownRoot[]): VerifyResult['witnessed'] {
    const keys = [...policyKeys(this.#facts?.witnessPolicy ?? ''), ...(this.#options.witnesses ?? [])];
    const found: VerifyResult['witnessed'] = [];
    for (const verifier of [...new Set(keys)].map(parseVerifierKey)) {
      const newest = held.findLast((known) => cosignedAt(parseNote(known.note), verifier) !== null);
      if (!newest) continue;
      found.push({ name: verifier.name, size: newest.size, timeSec: cosignedAt(parseNote(newest.note), verifier)! });
    }
    return found;
  }

  #expectKey(facts: LedgerFacts): LedgerFacts {
    const { vkey } = this.#options;
    if (vkey === undefined || vkey === facts.keys[0]!.vkey) return facts;
    throw new DavyError(ledgerErrors['bad-key'], 'Record 0 names another key than the one expected.');
  }

  #compare({ size, frontier }: ChainCheck): void {
    for (let known = this.#known[this.#compared]; known && known.size === size; known = this.#known[this.#compared]) {
      known.holds = known.root === frontier.rootHex();
      this.#compared += 1;
    }
  }

  async #judgeKnownRoots(): Promise<void> {
    let agreed = 0;
    const isBroken = this.#bad.some(({ file }) => file.startsWith('log/'));
    for (const known of this.#known) {
      // Beyond a broken link nothing can be said, not even which key was valid there.
      if (isBroken && known.size > this.#found.size) continue;
      const problem = await this.#problemOf(known, agreed);
      if (problem) this.#bad.push(problem);
      else agreed = known.size;
    }
  }

  async #problemOf(known: KnownRoot, agreed: number): Promise<BadRecord | null> {
    const { size } = this.#found;
    if (this.#facts) {
      try {
        openLedgerCheckpoint(known.note, this.#facts);
      } catch (error) {
        if (known.file === 'the checkpoint given') throw error;
        return { seq: agreed, file: known.file, why: messageOf(error) };
      }
    }
    if (known.holds === null) {
      const why = `is missing: ${known.file} covers ${known.size} records, the log has ${size}`;
      return { seq: size, file: this.#fileOf(size, segmentName(0)), why };
    }
    if (known.holds) return null;
    const exact = await locateAlteration(this.#disk, this.#dir, known);
    if (exact !== null) {
      return { seq: exact, file: this.#fileOf(exact, segmentName(0)), why: `is not what ${known.file} was signed for` };
    }
    const why = `or a later one below ${known.size} is not what ${known.file} was signed for`;
    return { seq: agreed, file: this.#fileOf(agreed, segmentName(0)), why };
  }

  /** Only segments belong into log/; a file under another name would escape every check. */
  async #reportStrangers(): Promise<void> {
    for (const name of await this.#disk.list(layout.log(this.#dir))) {
      if (segmentFirstSeq(name) === null) this.#bad.push({ seq: 0, file: `log/${name}`, why: 'is not a segment' });
    }
  }

  async #checkSeals(): Promise<void> {
    const { seals, problem } = await readSeals(this.#disk, this.#dir);
    if (problem) this.#bad.push({ seq: 0, file: 'SEALS', why: problem });
    for (const [name, sha256] of seals) {
      const seq = segmentFirstSeq(name)!;
      const path = layout.segment(this.#dir, name);
      if (!(await this.#disk.stat(path))) this.#bad.push({ seq, file: `log/${name}`, why: 'is sealed but missing' });
      else if ((this.#hashes.get(name) ?? (await fileSha256(this.#disk, path))) !== sha256) {
        if (this.#namesRecordIn(seq)) continue;
        this.#bad.push({ seq, file: `log/${name}`, why: 'does not have the SHA-256 that SEALS states' });
      }
    }
  }

  async #checkAttachments(): Promise<void> {
    if (this.#options.attachments === false) return;
    for (const [sha256, seq] of this.#attachments) {
      const why = await attachmentProblem(this.#disk, this.#dir, sha256);
      if (why) this.#bad.push({ seq, file: `cas/${sha256.slice(0, 2)}/${sha256}`, why });
    }
  }

  /** Whether a record of the segment was found bad already: then the seal has nothing to add. */
  #namesRecordIn(firstSeq: number): boolean {
    const records = this.#facts?.segmentRecords ?? SEGMENT_RECORDS;
    return this.#bad.some(({ seq, file }) => file.startsWith('log/') && seq >= firstSeq && seq < firstSeq + records);
  }

  /** A clean end says what the log's last record was; it is unsigned, so it only helps where no checkpoint does. */
  async #checkEndMark(): Promise<void> {
    const { end } = await readTerms(this.#disk, this.#dir);
    const { size, tip } = this.#found;
    if (!end || this.#bad.length > 0) return;
    if (end.size > size) {
      const why = `is missing: the writer of term ${end.term} closed the ledger at ${end.size} records`;
      this.#bad.push({ seq: size, file: this.#fileOf(size, segmentName(0)), why });
    } else if (end.size === size && end.tip !== tip) {
      const why = `is not the record at which the writer of term ${end.term} closed the ledger`;
      this.#bad.push({ seq: size - 1, file: this.#fileOf(size - 1, segmentName(0)), why });
    }
  }
}
