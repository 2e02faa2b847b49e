import { dirname, resolve } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { type AttachmentMeta, casPath, storeAttachment } from './cas.ts';
import { signCheckpoint, type TreeHead } from './checkpoint.ts';
import { prepareEvent } from './codec.ts';
import { type Disk, isDiskFull, writeFileDurably } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import {
  applyFacts,
  isDescription,
  KEY_ROTATED,
  LEDGER_STREAM,
  type LedgerFacts,
  OPENED,
  openedData,
  type ParentLedger,
  RECOVERED,
  rotationData,
  WITNESSES_DECLARED,
} from './facts.ts';
import { FileTarget } from './file-target.ts';
import { GroupCommit } from './group-commit.ts';
import type { LedgerSize } from './growth.ts';
import { identify } from './identity.ts';
import { createUuidV7 } from './ids.ts';
import { ED25519_NOTE, loadOrCreateSigner, type NoteSigner, publicKeyPem, verifierKeyText } from './keys.ts';
import { layout } from './layout.ts';
import type { AppendOptions, Ledger, LedgerHead } from './ledger.ts';
import { nodeDisk } from './node-disk.ts';
import { type OpenedLog, openLog, type Recovery } from './open-log.ts';
import { nextPolicy } from './policy.ts';
import type { Actor, Attachment, LedgerRecord, NewEvent } from './record.ts';
import { Scrubber } from './scrub.ts';
import { fileSha256, SegmentLog } from './segment-log.ts';
import { checkAppend, copyState, Sequencer } from './sequencer.ts';
import { saveSnapshot } from './snapshot.ts';
import { claimTerm, markEnd } from './terms.ts';

const CHECKPOINT_EVERY_MS = 1_000;
const RESERVE_BYTES = 64 * 1024 * 1024;

export interface FileLedgerOptions {
  /** The ledger folder; made when missing. */
  dir: string;
  /** Name of the system, for the origin of a new ledger: `davy/<system>/<8 hex>`. */
  system: string;
  /** Who writes, `[A-Za-z0-9._-]`, at most 64 characters. */
  writerId: string;
  clock: Clock;
  /** The signing key (PKCS #8 PEM, mode 0600). Default `ledger.key` beside the ledger folder, never inside it. */
  keyFile?: string;
  disk?: Disk;
  newId?: () => string;
  /** Bytes kept free for `reserve: true` appends; default 64 MiB. */
  reserveBytes?: number;
  /** Records per segment of a new ledger: a power of two up to 65,536, the default. */
  segmentRecords?: number;
  /** The highest term that something outside the ledger has seen; the writer's own is above it. 0 if absent. */
  aboveTerm?: number;
  /** The ledger that a new one continues after a loss. */
  parent?: ParentLedger;
  /** C2SP tlog-policy text: stated in record 0 of a new ledger, declared by a record when it changed since. */
  witnessPolicy?: string;
  /** Values that must never be recorded (tokens, passwords), taken out of every event. At least 8 characters each. */
  secrets?: readonly string[];
  /** Told about trouble that does not stop the ledger: disk full, a checkpoint that could not be published. */
  onNotice?: (message: string) => void;
}

export interface FileLedger extends Ledger {
  readonly dir: string;
  /** Name of the ledger on its checkpoints. */
  readonly origin: string;
  /** C2SP verifier key of the ledger. */
  readonly vkey: string;
  /** What was repaired when it was opened, null after a clean stop. */
  readonly recovery: Recovery | null;
  /** Its records and its highest term before this writer took its own; 0 and 0 for a new ledger. */
  readonly known: { size: number; term: number };
  /** How large the log is. */
  size(): LedgerSize;
  /** Merkle root (hex) over all durable records. */
  treeHead(): TreeHead;
  /** Stores a file's bytes in cas/, durably; put the result into an event's `att`. */
  attach(bytes: Uint8Array, meta: AttachmentMeta): Promise<Attachment>;
  /**
   * Replaces the signing key by a new one; the old key signs the hand-over. Rejects when the hand-over could not be
   * recorded (nothing changed then) or not be finished (asking again finishes it; a restart does so, too).
   */
  rotateKey(options: RotateKeyOptions): Promise<RotatedKey>;
  /** Signs and publishes a checkpoint of all durable records now; returns the note. */
  checkpoint(): Promise<string>;
}

export interface RotateKeyOptions {
  actor: Actor;
  reason: string;
  /** The same key again rotates nothing and answers as the first time. */
  idempotencyKey?: string;
}

export interface RotatedKey {
  /** The record of the hand-over; the new key signs from the next checkpoint on. */
  seq: number;
  vkey: string;
}

/**
 * Opens the ledger in a folder as its only writer. Rejects with `ledger/locked`, `ledger/tampered`, `ledger/truncated`,
 * `ledger/bad-key`, `ledger/remote-disk` …; nothing is changed then, except that a torn tail may have been cut.
 */
export async function openFileLedger(options: FileLedgerOptions): Promise<FileLedger> {
  const dir = resolve(options.dir);
  const disk = options.disk ?? nodeDisk;
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(options.writerId)) {
    throw new DavyError(
      ledgerErrors['bad-event'],
      `The writer id "${options.writerId}" must match [A-Za-z0-9._-]{1,64}.`,
    );
  }
  const release = await disk.lock(dir);
  try {
    return await openLocked(disk, dir, options, release);
  } catch (error) {
    await release();
    if (!isDiskFull(error)) throw error;
    throw new DavyError(ledgerErrors['disk-full'], `The disk of ${dir} is full; the ledger cannot be opened.`, {
      cause: error,
    });
  }
}

async function openLocked(
  disk: Disk,
  dir: string,
  options: FileLedgerOptions,
  release: () => Promise<void>,
): Promise<FileLedger> {
  for (const path of [dir, layout.log(dir), layout.terms(dir), layout.checkpoints(dir)]) await disk.makeDir(path);
  const opened = await openLog(disk, dir);
  const isNew = opened.facts === null;
  if (isNew && (await disk.stat(layout.description(dir)))) {
    throw new DavyError(ledgerErrors.truncated, 'The ledger has a LEDGER.json but no records.');
  }
  const keyFile = options.keyFile ?? `${dir}.key`;
  const { facts, signer } = await identify(disk, keyFile, opened.facts, options);
  const { aboveTerm: above = 0, writerId } = options;
  const term = await claimTerm(disk, dir, { after: opened.terms.last, above, writerId });
  const log = await SegmentLog.openAt(disk, dir, facts.segmentRecords, {
    open: opened.open,
    sealedBytes: opened.segmentBytes,
  });
  const ledger = new OpenFileLedger({ disk, dir, options, opened, facts, signer, keyFile, term, log, release });
  await ledger.start(isNew);
  return ledger;
}

interface Parts {
  disk: Disk;
  dir: string;
  options: FileLedgerOptions;
  opened: OpenedLog;
  facts: LedgerFacts;
  signer: NoteSigner;
  keyFile: string;
  term: number;
  log: SegmentLog;
  release: () => Promise<void>;
}

class OpenFileLedger implements FileLedger {
  readonly dir: string;
  readonly recovery: Recovery | null;
  readonly known: { size: number; term: number };
  readonly #p: Parts;
  readonly #sequencer: Sequencer;
  readonly #target: FileTarget;
  readonly #commits: GroupCommit;
  readonly #listeners = new Set<(records: readonly LedgerRecord[]) => void>();
  readonly #scrubber: Scrubber;
  readonly #notice: (message: string) => void;
  #durable: LedgerHead;
  #publishing: Promise<unknown> = Promise.resolve();
  #publishedSize = -1;
  #cancelPublish: (() => void) | null = null;
  #closing: Promise<void> | null = null;

  constructor(parts: Parts) {
    const { disk, dir, options, opened, facts, term, log } = parts;
    this.#p = parts;
    this.dir = dir;
    this.recovery = opened.recovery;
    this.known = { size: opened.frontier.size, term: opened.terms.last };
    this.#scrubber = new Scrubber(options.secrets);
    this.#notice = options.onNotice ?? (() => undefined);
    const nowMs = (): number => options.clock.nowMs();
    const newId = options.newId ?? createUuidV7(nowMs);
    this.#sequencer = new Sequencer(opened.state, { writerId: options.writerId, term, newId, nowMs });
    this.#durable = this.#sequencer.head();
    this.#target = new FileTarget({
      disk,
      dir,
      clock: options.clock,
      term,
      reserveBytes: options.reserveBytes ?? RESERVE_BYTES,
      segmentRecords: facts.segmentRecords,
      log,
      frontier: opened.frontier,
      onFull: () => this.#noteSnapshot(),
      onNotice: this.#notice,
    });
    this.#commits = new GroupCommit(this.#sequencer, this.#target, (records, tip) => this.#committed(records, tip));
  }

  get origin(): string {
    return this.#p.facts.origin;
  }

  get vkey(): string {
    return verifierKeyText(this.#p.signer);
  }

  async start(isNew: boolean): Promise<void> {
    const { disk, dir, facts, signer } = this.#p;
    await this.#target.makeReserve();
    if (isNew) {
      const [first] = await this.append([{ type: OPENED, stream: LEDGER_STREAM, data: openedData(facts) }], {
        reserve: true,
      });
      await this.#writePublicKey(signer);
      await writeFileDurably(disk, layout.description(dir), Buffer.from(`${JSON.stringify(first!.data, null, 2)}\n`));
      return;
    }
    if (this.recovery) {
      const { keptUnacked, cutBytes, cutSha256 } = this.recovery;
      const data = { kept_unacked: keptUnacked, cut_bytes: cutBytes, cut_sha256: cutSha256 };
      await this.append([{ type: RECOVERED, stream: LEDGER_STREAM, data }], { reserve: true });
    }
    // A crash may have come between a rotation and this file.
    await this.#writePublicKey(signer);
    await this.#declareWitnesses();
  }

  async #writePublicKey(signer: NoteSigner): Promise<void> {
    const { disk, dir } = this.#p;
    const path = layout.publicKey(dir);
    const pem = Buffer.from(publicKeyPem(signer));
    const isThere = (await disk.stat(path)) !== null && (await disk.read(path)).equals(pem);
    if (!isThere) await writeFileDurably(disk, path, pem);
  }

  /** An auditor must see from the ledger alone who was to watch, also when that changed after the first day. */
  async #declareWitnesses(): Promise<void> {
    const { facts, options } = this.#p;
    if (options.witnessPolicy === undefined) return;
    const witnessPolicy = nextPolicy(facts.witnessPolicy, options.witnessPolicy);
    if (witnessPolicy === facts.witnessPolicy) return;
    const declared = { type: WITNESSES_DECLARED, stream: LEDGER_STREAM, data: { witnessPolicy } };
    await this.append([declared], { reserve: true });
  }

  append(events: NewEvent[], options: AppendOptions = {}): Promise<LedgerRecord[]> {
    try {
      checkAppend(events.length, options.idempotencyKey);
      const prepared = events.map((event) => prepareEvent(event, this.#scrubber));
      for (const { att } of prepared) if (att) this.#requireStored(att);
      const request = { events: prepared, expected: options.expected, key: options.idempotencyKey };
      return this.#commits.submit(request, options.reserve ?? false);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  attach(bytes: Uint8Array, meta: AttachmentMeta): Promise<Attachment> {
    return storeAttachment(this.#p.disk, this.dir, bytes, meta);
  }

  #requireStored(attachments: Attachment[]): void {
    for (const { sha256, name } of attachments) {
      if (this.#p.disk.existsNow(casPath(this.dir, sha256))) continue;
      throw new DavyError(ledgerErrors['attachment-missing'], `${name} (SHA-256 ${sha256}) is not in cas/.`);
    }
  }

  read(fromSeq: number): AsyncIterable<LedgerRecord> {
    return this.#target.read(fromSeq, this.#durable.size);
  }

  head(): LedgerHead {
    return { ...this.#durable };
  }

  size(): LedgerSize {
    return { records: this.#durable.size, bytes: this.#p.log.bytes };
  }

  treeHead(): TreeHead {
    const { frontier } = this.#target;
    return { origin: this.#p.facts.origin, size: frontier.size, root: frontier.rootHex() };
  }

  subscribe(listener: (records: readonly LedgerRecord[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  rotateKey(options: RotateKeyOptions): Promise<RotatedKey> {
    // In the turn of the checkpoints: none may be signed between the record of the hand-over and the change of the key.
    const run = this.#publishing.then(() => this.#rotate(options));
    this.#publishing = run.catch(() => undefined);
    return run;
  }

  async #rotate({ actor, reason, idempotencyKey }: RotateKeyOptions): Promise<RotatedKey> {
    const { disk, facts, signer, keyFile } = this.#p;
    const next = await loadOrCreateSigner(disk, `${keyFile}.next`, facts.origin, ED25519_NOTE);
    const vkey = verifierKeyText(next);
    if (vkey !== this.vkey) {
      const data = rotationData(facts.origin, signer, vkey, reason);
      const event = { type: KEY_ROTATED, stream: LEDGER_STREAM, actor, data };
      const [record] = await this.append([event], idempotencyKey === undefined ? {} : { idempotencyKey });
      if (record!.data.vkey !== vkey) return { seq: record!.seq, vkey: String(record!.data.vkey) };
      this.#p.signer = next;
    }
    // Else an earlier call recorded the hand-over and failed after it: what is left of it is done now. The rename is
    // last, because a key that still lies under the other name is how an unfinished rotation is known.
    await this.#writePublicKey(next);
    await disk.rename(`${keyFile}.next`, keyFile);
    await disk.syncDir(dirname(keyFile));
    await this.#publish().catch((error) => this.#notice(`A checkpoint could not be published: ${messageOf(error)}.`));
    return { seq: facts.keys.at(-1)!.fromSize - 1, vkey };
  }

  checkpoint(): Promise<string> {
    const run = this.#publishing.then(() => this.#publish());
    this.#publishing = run.catch(() => undefined);
    return run;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #committed(records: readonly LedgerRecord[], tip: string): void {
    const last = records.at(-1)!;
    this.#durable = { size: last.seq + 1, tip, term: last.term };
    // Here and not where they were appended: a snapshot noted next must know what the records that it covers say.
    for (const record of records) if (isDescription(record)) applyFacts(this.#p.facts, record);
    this.#schedulePublish();
    for (const listener of this.#listeners) {
      try {
        listener(records);
      } catch (error) {
        // A listener's bug must neither stop the others nor the writer; it surfaces as an uncaught exception.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #schedulePublish(): void {
    if (this.#cancelPublish || this.#closing) return;
    const publish = (): void => {
      this.#cancelPublish = null;
      this.checkpoint().catch((error) => this.#notice(`A checkpoint could not be published: ${messageOf(error)}.`));
    };
    this.#cancelPublish = this.#p.options.clock.after(CHECKPOINT_EVERY_MS, publish, true);
  }

  async #publish(): Promise<string> {
    const { disk, dir, signer } = this.#p;
    const head = this.treeHead();
    const note = signCheckpoint(head, signer);
    if (head.size === this.#publishedSize) return note;
    await this.#p.opened.tiles.publish();
    await writeFileDurably(disk, layout.checkpoint(dir), Buffer.from(note));
    this.#publishedSize = head.size;
    return note;
  }

  /** Called between two batches, when the state is exactly what is durable; later batches go on changing it. */
  #noteSnapshot(): () => Promise<void> {
    const { disk, dir, log, opened, facts } = this.#p;
    const { frontier } = this.#target;
    const noted = {
      state: copyState(this.#sequencer.state),
      frontier: frontier.clone(),
      tiles: opened.tiles.partial,
      facts: structuredClone(facts),
      open: log.open,
      segmentBytes: log.sealedBytes,
    };
    const openFile = layout.segment(dir, log.openName);
    return async () => {
      try {
        // A start uses a snapshot only up to the newest checkpoint.
        await this.checkpoint();
        const openSha256 = await fileSha256(disk, openFile, noted.open.bytes);
        await saveSnapshot(disk, dir, { ...noted, openSha256 });
      } catch (error) {
        this.#notice(`The snapshot after sealing a segment failed: ${messageOf(error)}.`);
      }
    };
  }

  async #close(): Promise<void> {
    const { disk, dir, term, log, release } = this.#p;
    const reason = new DavyError(ledgerErrors.closed, 'The ledger is closed.');
    await this.#commits.stop(reason);
    this.#cancelPublish?.();
    try {
      if (this.#commits.stopped === reason) {
        await this.checkpoint();
        await markEnd(disk, dir, { term, size: this.#durable.size, tip: this.#durable.tip });
      }
      await log.close();
    } catch (error) {
      // Without an end mark the next start treats this as an unclean stop and checks the tail; nothing is lost.
      this.#notice(`The ledger was closed without its end mark: ${messageOf(error)}.`);
    } finally {
      await release();
    }
  }
}
