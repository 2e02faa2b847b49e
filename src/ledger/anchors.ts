import { hash } from 'node:crypto';
import type { Cancel, Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/error.ts';
import { parseTreeHead } from './checkpoint.ts';
import { cosignedAt } from './cosignature.ts';
import { type Disk, writeFileDurably } from './disk.ts';
import { ANCHOR_FAILED, ANCHOR_RECOVERED, ANCHORED, LEDGER_STREAM } from './facts.ts';
import type { FileLedger } from './file-ledger.ts';
import { layout } from './layout.ts';
import { nodeDisk } from './node-disk.ts';
import { nodesOfTiles } from './node-source.ts';
import { parseNote } from './note.ts';
import type { JsonObject, LedgerRecord } from './record.ts';
import { requestTimestamp, timestampedAt } from './timestamp.ts';
import { requestCosignature, WitnessAhead, type WitnessTarget } from './witness-client.ts';

const WITNESS_EVERY_MS = 60_000;
const TIMESTAMP_EVERY_MS = 600_000;
const TIMESTAMP = 'timestamp';
const CHECKPOINT = 'checkpoint';
/** Receipts that are looked at after a start, the newest first. */
const MAX_RECEIPTS = 1_000;

const witnessName = (name: string): string => `witness ${name}`;

export interface AnchorOptions {
  ledger: FileLedger;
  clock: Clock;
  disk?: Disk;
  witnesses: WitnessTarget[];
  /** Address of an RFC 3161 time-stamping authority, or null. */
  tsaUrl: string | null;
  /** How long a checkpoint may stay unwitnessed: the window in which the ledger's owner could still rewrite; default 60 s. */
  witnessEveryMs?: number;
  /** Default 10 min. */
  timestampEveryMs?: number;
  /** Records after which anchoring does not wait for its turn, such as a finished promotion or rollback. */
  isUrgent?: (record: LedgerRecord) => boolean;
  /** An anchor began to fail (`problem` says why) or works again (null). Never throws into the ledger. */
  onAlarm: (anchor: string, problem: string | null) => void;
}

/** How one party outside stands: what it has covered, and what is wrong with it. */
export interface AnchorState {
  /** `witness <name>` or `timestamp`. */
  name: string;
  /** Records that it covers; null when it never covered any. */
  size: number | null;
  /** When it covered them (ms since the epoch); a witness says so by its own clock. */
  atMs: number | null;
  /** Why it fails; null while it works. */
  problem: string | null;
  /** Since when it fails, by the clock of this machine. */
  sinceMs: number | null;
  /** Records that it had cosigned when it refused a checkpoint of fewer; null when it never did. */
  aheadSize: number | null;
}

export interface Anchors {
  /** Every witness and the time-stamping authority, in the order of the spec; `checkpoint` when none can be made. */
  states(): AnchorState[];
  /** Anchors the newest checkpoint now; resolves with the size that is covered, or null when nothing was new. */
  now(): Promise<number | null>;
  close(): Promise<void>;
}

/**
 * Takes checkpoints to parties outside: cosignatures of witnesses and timestamps. Runs beside the ledger and never in
 * its way: an outage raises an alarm and is recorded, appends go on.
 */
export function startAnchors(options: AnchorOptions): Anchors {
  return new RunningAnchors(options);
}

class RunningAnchors implements Anchors {
  readonly #o: AnchorOptions;
  readonly #disk: Disk;
  readonly #knownSizes = new Map<string, number>();
  readonly #askedSizes = new Map<string, number>();
  readonly #states = new Map<string, AnchorState>();
  readonly #leave: () => void;
  #anchoredSize = 0;
  #stampedAtMs = Number.NEGATIVE_INFINITY;
  #urgent = false;
  #timer: Cancel | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: AnchorOptions) {
    this.#o = options;
    this.#disk = options.disk ?? nodeDisk;
    for (const { verifier } of options.witnesses) this.#state(witnessName(verifier.name));
    if (options.tsaUrl !== null) this.#state(TIMESTAMP);
    this.#turn = this.#remember().catch((error: unknown) => options.onAlarm(CHECKPOINT, messageOf(error)));
    this.#leave = options.ledger.subscribe((records) => {
      if (!options.isUrgent || !records.some(options.isUrgent)) return;
      this.#urgent = true;
      this.#schedule(0);
    });
    this.#schedule(options.witnessEveryMs ?? WITNESS_EVERY_MS);
  }

  states(): AnchorState[] {
    return [...this.#states.values()].map((state) => ({ ...state }));
  }

  #state(name: string): AnchorState {
    const known = this.#states.get(name);
    if (known) return known;
    const state: AnchorState = { name, size: null, atMs: null, problem: null, sinceMs: null, aheadSize: null };
    this.#states.set(name, state);
    return state;
  }

  get #isFailing(): boolean {
    return [...this.#states.values()].some(({ problem }) => problem !== null);
  }

  /** What was covered before this start, from the newest receipts. */
  async #remember(): Promise<void> {
    const { ledger, witnesses, tsaUrl } = this.#o;
    const found = await newestReceipts(this.#disk, ledger.dir, { witnesses, timestamp: tsaUrl !== null });
    for (const [name, { size, atMs }] of found) Object.assign(this.#state(name), { size, atMs });
  }

  now(): Promise<number | null> {
    const run = this.#turn.then(() => this.#anchor());
    this.#turn = run.catch(() => undefined);
    return run;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#leave();
    this.#timer?.();
    await this.#turn;
  }

  #schedule(delayMs: number): void {
    if (this.#closed) return;
    this.#timer?.();
    const run = (): void => {
      this.now()
        .then(
          () => this.#report(CHECKPOINT, null),
          (error: unknown) => this.#report(CHECKPOINT, messageOf(error)),
        )
        .finally(() => this.#schedule(this.#o.witnessEveryMs ?? WITNESS_EVERY_MS));
    };
    this.#timer = this.#o.clock.after(delayMs, run, true);
  }

  async #anchor(): Promise<number | null> {
    const { ledger, witnesses } = this.#o;
    // Its own record about the last anchoring does not make a new one necessary.
    if (ledger.head().size <= this.#anchoredSize + 1 && !this.#isFailing) return null;
    const note = await ledger.checkpoint();
    const { size, root } = parseTreeHead(parseNote(note).text);
    const cosigned = await Promise.all(witnesses.map((target) => this.#cosign(target, note, size)));
    const lines = cosigned.flatMap((one) => (one ? [one.lines] : []));
    const anchored = note + lines.join('');
    const { dir } = ledger;
    await this.#disk.makeDir(layout.anchors(dir));
    // A timestamp is on these very bytes: with a cosignature more they would not be those that it covers any more.
    // What a witness has signed too late for that goes with the next checkpoint.
    if (await this.#disk.stat(`${layout.anchors(dir)}/${size}.tsr`)) {
      if (!this.#isFailing) this.#anchoredSize = 0;
      return size;
    }
    await writeFileDurably(this.#disk, `${layout.checkpoints(dir)}/${size}`, Buffer.from(anchored));
    if (lines.length > 0)
      await writeFileDurably(this.#disk, `${layout.anchors(dir)}/${size}.cosig`, Buffer.from(lines.join('')));
    const timestamp = await this.#stamp(size, anchored);
    this.#anchoredSize = size;
    if (lines.length === 0 && !timestamp) return size;
    const times = Object.fromEntries(
      cosigned.flatMap((one, i) => (one ? [[witnesses[i]!.verifier.name, one.timeSec]] : [])),
    ) as JsonObject;
    await this.#record(ANCHORED, { size, root, cosigned_at: times, timestamp_sha256: timestamp });
    return size;
  }

  async #cosign(target: WitnessTarget, note: string, size: number): Promise<{ lines: string; timeSec: number } | null> {
    const { name } = target.verifier;
    try {
      const node = nodesOfTiles(this.#disk, this.#o.ledger.dir, size);
      // Its records from before this writer, and what this writer asked for, answered or not.
      const ownSize = Math.max(this.#o.ledger.known.size, this.#askedSizes.get(name) ?? 0);
      this.#askedSizes.set(name, size);
      const cosigned = await requestCosignature(target, note, node, this.#knownSizes.get(name) ?? 0, ownSize);
      this.#knownSizes.set(name, size);
      Object.assign(this.#state(witnessName(name)), { size, atMs: cosigned.timeSec * 1_000 });
      await this.#report(witnessName(name), null);
      return cosigned;
    } catch (error) {
      if (error instanceof WitnessAhead) this.#state(witnessName(name)).aheadSize = error.seenSize;
      await this.#report(witnessName(name), messageOf(error));
      return null;
    }
  }

  /** SHA-256 of the timestamp, or null when none was due or none was to be had. */
  async #stamp(size: number, anchored: string): Promise<string | null> {
    const { tsaUrl, clock, ledger, timestampEveryMs = TIMESTAMP_EVERY_MS } = this.#o;
    if (tsaUrl === null) return null;
    if (!this.#urgent && clock.monoMs() - this.#stampedAtMs < timestampEveryMs) return null;
    try {
      const reply = await requestTimestamp(tsaUrl, Buffer.from(anchored));
      await writeFileDurably(this.#disk, `${layout.anchors(ledger.dir)}/${size}.tsr`, reply);
      this.#stampedAtMs = clock.monoMs();
      this.#urgent = false;
      Object.assign(this.#state(TIMESTAMP), { size, atMs: clock.nowMs() });
      await this.#report(TIMESTAMP, null);
      return hash('sha256', reply, 'hex');
    } catch (error) {
      await this.#report(TIMESTAMP, messageOf(error));
      return null;
    }
  }

  /** Alarms and records the beginning and the end of an outage, not every failed try. */
  async #report(anchor: string, problem: string | null): Promise<void> {
    if (problem === null && !this.#states.has(anchor)) return;
    const state = this.#state(anchor);
    const wasFailing = state.problem !== null;
    state.problem = problem;
    if (wasFailing === (problem !== null)) return;
    state.sinceMs = problem === null ? null : this.#o.clock.nowMs();
    this.#o.onAlarm(anchor, problem);
    if (problem === null) await this.#record(ANCHOR_RECOVERED, { anchor });
    else await this.#record(ANCHOR_FAILED, { anchor, problem });
  }

  async #record(type: string, data: JsonObject): Promise<void> {
    try {
      await this.#o.ledger.append([{ type, stream: LEDGER_STREAM, data }]);
    } catch (error) {
      this.#o.onAlarm('ledger', messageOf(error));
    }
  }
}

/** The newest cosignature of each witness and the newest timestamp in the folder. */
async function newestReceipts(
  disk: Disk,
  dir: string,
  wanted: { witnesses: readonly WitnessTarget[]; timestamp: boolean },
): Promise<Map<string, { size: number; atMs: number }>> {
  const found = new Map<string, { size: number; atMs: number }>();
  const stamps = (await sizesIn(disk, layout.anchors(dir), /^(\d+)\.tsr$/))[0];
  if (wanted.timestamp && stamps !== undefined) {
    const atMs = await timestampedAt(await disk.read(`${layout.anchors(dir)}/${stamps}.tsr`)).catch(() => null);
    if (atMs !== null) found.set(TIMESTAMP, { size: stamps, atMs });
  }
  for (const size of (await sizesIn(disk, layout.checkpoints(dir), /^(\d+)$/)).slice(0, MAX_RECEIPTS)) {
    const missing = wanted.witnesses.filter(({ verifier }) => !found.has(witnessName(verifier.name)));
    if (missing.length === 0) break;
    const note = parseNote((await disk.read(`${layout.checkpoints(dir)}/${size}`)).toString('utf8'));
    for (const { verifier } of missing) {
      const timeSec = cosignedAt(note, verifier);
      if (timeSec !== null) found.set(witnessName(verifier.name), { size, atMs: timeSec * 1_000 });
    }
  }
  return found;
}

async function sizesIn(disk: Disk, folder: string, pattern: RegExp): Promise<number[]> {
  const sizes = (await disk.list(folder)).flatMap((name) => pattern.exec(name)?.[1] ?? []).map(Number);
  return sizes.sort((a, b) => b - a);
}
