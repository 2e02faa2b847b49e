import { resolve } from 'node:path';
import { parseTreeHead } from './checkpoint.ts';
import { ZERO_HASH } from './codec.ts';
import type { Disk } from './disk.ts';
import { layout } from './layout.ts';
import { lineChunks } from './lines.ts';
import { LinkCheck } from './link-check.ts';
import { nodeDisk } from './node-disk.ts';
import { listSegments, type SegmentFile } from './replay.ts';
import { PARALLEL_FROM_BYTES, runOnSegments } from './segment-pool.ts';
import { readTerms } from './terms.ts';
import { toBinary } from './tree.ts';
import { type VerifyOptions, type VerifyResult, verifyLedger } from './verify.ts';

type ChainOptions = Pick<VerifyOptions, 'disk' | 'parallelFromBytes' | 'useThisThread'>;

/**
 * The links alone: every line is hashed and held against the `prev` of the next, and as many as the checkpoint says must be there.
 * Quicker than the whole check, and less: no tree, no signature, no form, no attachments. When a link is broken or missing the whole
 * check runs to name the place.
 */
export async function verifyChain(
  dir: string,
  options: ChainOptions = {},
): Promise<VerifyResult | { ok: true; size: number }> {
  const { disk = nodeDisk, parallelFromBytes = PARALLEL_FROM_BYTES } = options;
  const root = resolve(dir);
  // Before the log is read: one that is written meanwhile only grows.
  const promised = await countPromised(disk, root);
  const segments = await listSegments(disk, root);
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const isLong = bytes >= parallelFromBytes && disk === nodeDisk;
  const size = isLong ? await linkedSideBySide(root, segments, options) : await linkedInOrder(root, segments, options);
  return size > 0 && size >= promised ? { ok: true, size } : verifyLedger(dir, options);
}

/** As many records as the checkpoint and the last clean end count: a log cut after any of them has nothing but good links. */
async function countPromised(disk: Disk, root: string): Promise<number> {
  const { end } = await readTerms(disk, root);
  const path = layout.checkpoint(root);
  if ((await disk.stat(path)) === null) return end?.size ?? 0;
  try {
    return Math.max(parseTreeHead((await disk.read(path)).toString('utf8')).size, end?.size ?? 0);
  } catch {
    // No checkpoint at all: the whole check says what is wrong with it.
    return Number.POSITIVE_INFINITY;
  }
}

/** Number of records when every link holds, else 0. */
async function linkedInOrder(
  root: string,
  segments: SegmentFile[],
  { disk = nodeDisk }: ChainOptions,
): Promise<number> {
  const check = new LinkCheck(toBinary(ZERO_HASH));
  for (const { name } of segments) {
    for await (const { bytes } of lineChunks(disk, layout.segment(root, name))) {
      if (!check.acceptLines(bytes)) return 0;
    }
  }
  return check.records;
}

/** The same with the segments on all cores: the first line of each must name the last of the one before. */
async function linkedSideBySide(root: string, segments: SegmentFile[], options: ChainOptions): Promise<number> {
  const tasks = segments.map(({ name }) => ({ path: layout.segment(root, name) }));
  const reports = await runOnSegments('links', tasks, { here: options.useThisThread ?? false }).catch(() => null);
  let tip = ZERO_HASH;
  let size = 0;
  for (const report of reports ?? []) {
    if (report.records === 0) continue;
    if (report.first !== tip) return 0;
    tip = report.tip;
    size += report.records;
  }
  return size;
}
