import { hash } from 'node:crypto';
import { type Disk, writeFileDurably } from './disk.ts';
import type { LedgerFacts } from './facts.ts';
import { layout } from './layout.ts';
import type { OpenSegment } from './segment-log.ts';
import type { KeyRange, SequencerState } from './sequencer.ts';
import type { PartialTiles } from './tiles.ts';
import { Frontier, toBinary, toHex } from './tree.ts';

/** Older snapshots are only needed when the newest was torn by a crash. */
const KEPT_SNAPSHOTS = 2;
/** Raised when a field changes: a snapshot of another version is skipped like a damaged one. */
const SNAPSHOT_VERSION = 2;
const SNAPSHOT_NAME = /^(\d{16})\.json$/;

/** The fold of the first `size` records, so that a start need not read them again. A cache: deleting it loses nothing. */
export interface Snapshot {
  state: SequencerState;
  frontier: Frontier;
  /** The tile at each level that was not full. */
  tiles: PartialTiles;
  facts: LedgerFacts;
  /** The segment that was open, up to `size`, and the SHA-256 of those bytes. */
  open: OpenSegment;
  openSha256: string;
  /** Bytes of every segment before the open one. */
  segmentBytes: number[];
}

interface SnapshotJson {
  v: typeof SNAPSHOT_VERSION;
  size: number;
  tip: string;
  root: string;
  frontier: string[];
  tiles: string[][];
  facts: LedgerFacts;
  open: OpenSegment;
  openSha256: string;
  segmentBytes: number[];
  streams: [string, number][];
  keys: [string, KeyRange][];
}

export async function saveSnapshot(disk: Disk, dir: string, snapshot: Snapshot): Promise<void> {
  const { state, frontier } = snapshot;
  const json: SnapshotJson = {
    v: SNAPSHOT_VERSION,
    size: state.size,
    tip: state.tip,
    root: frontier.rootHex(),
    frontier: frontier.toJson(),
    tiles: snapshot.tiles.map((tile) => tile.map(toHex)),
    facts: snapshot.facts,
    open: snapshot.open,
    openSha256: snapshot.openSha256,
    segmentBytes: snapshot.segmentBytes,
    streams: [...state.streams],
    keys: [...state.keys],
  };
  const body = JSON.stringify(json);
  const text = `${hash('sha256', body, 'hex')}\n${body}\n`;
  await disk.makeDir(layout.snapshots(dir));
  const name = `${String(state.size).padStart(16, '0')}.json`;
  await writeFileDurably(disk, `${layout.snapshots(dir)}/${name}`, Buffer.from(text));
  const names = (await disk.list(layout.snapshots(dir))).filter((n) => SNAPSHOT_NAME.test(n));
  for (const old of names.slice(0, -KEPT_SNAPSHOTS)) await disk.remove(`${layout.snapshots(dir)}/${old}`);
}

/** The newest readable snapshot of at most `maxSize` records; damaged ones are skipped, being only a cache. */
export async function loadSnapshot(disk: Disk, dir: string, maxSize: number): Promise<Snapshot | null> {
  const names = (await disk.list(layout.snapshots(dir))).filter((name) => SNAPSHOT_NAME.test(name));
  for (const name of names.reverse()) {
    if (Number(SNAPSHOT_NAME.exec(name)![1]) > maxSize) continue;
    const snapshot = parseSnapshot((await disk.read(`${layout.snapshots(dir)}/${name}`)).toString('utf8'));
    if (snapshot) return snapshot;
  }
  return null;
}

function parseSnapshot(text: string): Snapshot | null {
  const split = text.indexOf('\n');
  const body = text.slice(split + 1, -1);
  if (split !== 64 || hash('sha256', body, 'hex') !== text.slice(0, 64)) return null;
  const json = JSON.parse(body) as SnapshotJson;
  if (json.v !== SNAPSHOT_VERSION) return null;
  return {
    state: { size: json.size, tip: json.tip, streams: new Map(json.streams), keys: new Map(json.keys) },
    frontier: Frontier.fromJson(json.size, json.frontier),
    tiles: json.tiles.map((tile) => tile.map(toBinary)),
    facts: json.facts,
    open: json.open,
    openSha256: json.openSha256,
    segmentBytes: json.segmentBytes,
  };
}
