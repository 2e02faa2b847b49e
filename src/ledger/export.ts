import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DavyError } from '../lib/error.ts';
import { tsvRow } from '../lib/outside-text/tsv.ts';
import { auditorReadme } from './auditor-readme.ts';
import { readAttachment } from './cas.ts';
import type { TreeHead } from './checkpoint.ts';
import type { Disk } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import { evidenceFileName, folderOf, isAbout, releaseOf, unknownRelease } from './evidence.ts';
import { applyFacts, factsOf, KEY_ROTATED, keyAt, type LedgerFacts, openLedgerCheckpoint } from './facts.ts';
import { parseVerifierKey, publicKeyPem } from './keys.ts';
import { layout } from './layout.ts';
import { firstLines } from './lines.ts';
import { nodeDisk } from './node-disk.ts';
import { leavesFromLog, nodesOfLeaves } from './node-source.ts';
import { readFolder, type StoredRecord } from './reader.ts';
import { listSegments } from './replay.ts';
import { readSeals } from './seals.ts';
import { sealLine } from './segment-log.ts';
import { bundlePath, entryBundle, TILE_WIDTH, tilePath, tilesOf } from './tiles.ts';
import { tlogProof } from './tlog-proof.ts';
import type { BinaryHash } from './tree.ts';
import { verifyLedger } from './verify.ts';

/** With more records than this an export carries no proof per record but the whole log, which proves them all at once. */
const MAX_PROOFS = 10_000;

export interface ExportOptions {
  /** The ledger folder. */
  dir: string;
  /** A release, or null for everything. */
  release: string | null;
  /** A folder that does not exist yet or is empty. */
  outDir: string;
  disk?: Disk;
  /** Records from which on the log is exported instead of a proof for each; default 10,000. */
  maxProofs?: number;
}

export interface ExportResult {
  outDir: string;
  records: number;
  files: number;
  proofs: number;
  head: TreeHead;
  /** Whether somebody outside has cosigned or timestamped this very checkpoint. */
  anchored: boolean;
  /** Records newer than the checkpoint, left out because nothing signed covers them yet. */
  uncovered: number;
}

/**
 * Writes a folder that stands on its own: the files with their descriptions, the records that name them, a proof for
 * each record, the signed checkpoint, the public key, and a script that checks it all without Davy. Refuses to export a
 * ledger that does not verify.
 */
export async function exportEvidence(options: ExportOptions): Promise<ExportResult> {
  const disk = options.disk ?? nodeDisk;
  const dir = resolve(options.dir);
  const outDir = resolve(options.outDir);
  await requireEmpty(outDir);
  const verified = await verifyLedger(dir, { disk });
  if (!verified.ok) {
    const bad = verified.firstBad!;
    throw new DavyError(ledgerErrors.tampered, `Record ${bad.seq} (${bad.file}) ${bad.why}; nothing was exported.`);
  }
  const { facts, selected, known, keyRecords } = await select(dir, disk, options.release);
  if (options.release !== null && selected.length === 0) throw unknownRelease(options.release, known);
  const { checkpoint, head, anchored } = await bestCheckpoint(disk, dir, facts, (selected.at(-1)?.record.seq ?? 0) + 1);
  const covered = selected.filter(({ record }) => record.seq < head.size);
  const writer = new ExportWriter(outDir);
  const verifier = parseVerifierKey(keyAt(facts, head.size));
  await writer.write('checkpoint', checkpoint);
  await writer.write('log-key.pem', publicKeyPem(verifier));
  await writer.write('LEDGER.json', await disk.read(layout.description(dir)));
  await writer.write('records.jsonl', covered.map(({ line }) => `${line}\n`).join(''));
  const keys = keyRecords.filter(({ record }) => record.seq < head.size);
  await writer.write('keys.jsonl', keys.map(({ line }) => `${line}\n`).join(''));
  for (const { vkey, fromSize } of facts.keys) {
    if (fromSize <= head.size) await writer.write(`keys/${fromSize}.pem`, publicKeyPem(parseVerifierKey(vkey)));
  }
  const files = await writeFiles(disk, dir, covered, writer);
  const hasProofs = covered.length <= (options.maxProofs ?? MAX_PROOFS);
  const proofs = hasProofs ? covered.length : 0;
  const leaves = hasProofs || options.release === null ? await leavesFromLog(disk, dir, head.size) : [];
  if (hasProofs) await writeProofs(leaves, union(covered, keys), head, checkpoint, writer);
  const hasLog = options.release === null || !hasProofs;
  if (hasLog) await writeLedgerCopy(disk, dir, { checkpoint, size: head.size }, writer);
  if (options.release === null) await writeTiles(leaves, covered, writer);
  await writeAnchors(disk, dir, head.size, writer, options.release === null);
  await writer.write(
    'README.md',
    String(auditorReadme({ release: options.release, head, records: covered.length, files, proofs, hasLog, facts })),
  );
  await writer.write('verify.sh', await readFile(join(import.meta.dirname, 'kit', 'verify.sh')));
  await chmod(join(outDir, 'verify.sh'), 0o755);
  await writer.finish();
  const uncovered = selected.length - covered.length;
  return { outDir, records: covered.length, files, proofs, head, anchored, uncovered };
}

async function requireEmpty(outDir: string): Promise<void> {
  const found = await readdir(outDir).catch(() => [] as string[]);
  if (found.length === 0) return;
  throw new DavyError(ledgerErrors['export-exists'], `${outDir} is not empty; an export never overwrites anything.`);
}

/**
 * The newest checkpoint that somebody outside has cosigned or timestamped, when it covers everything that is exported:
 * its proofs then hold against the ledger's owner, too. Else the newest that is signed.
 */
async function bestCheckpoint(
  disk: Disk,
  dir: string,
  facts: LedgerFacts,
  needed: number,
): Promise<{ checkpoint: string; head: TreeHead; anchored: boolean }> {
  const anchored = (await anchoredSizes(disk, dir)).at(-1) ?? 0;
  const path = anchored >= needed ? `${layout.checkpoints(dir)}/${anchored}` : layout.checkpoint(dir);
  const checkpoint = await readCheckpoint(disk, path);
  const head = openLedgerCheckpoint(checkpoint, facts);
  return { checkpoint, head, anchored: anchored === head.size };
}

/** Sizes of the checkpoints that carry a cosignature or a timestamp, ascending. */
async function anchoredSizes(disk: Disk, dir: string): Promise<number[]> {
  const names = await disk.list(layout.anchors(dir));
  const sizes = names.flatMap((name) => /^(\d+)\.(?:cosig|tsr)$/.exec(name)?.[1] ?? []).map(Number);
  return [...new Set(sizes)].sort((a, b) => a - b);
}

async function readCheckpoint(disk: Disk, path: string): Promise<string> {
  if (await disk.stat(path)) return (await disk.read(path)).toString('utf8');
  throw new DavyError(
    ledgerErrors['bad-checkpoint'],
    'The ledger has no checkpoint yet, so nothing signed can be exported.',
  );
}

async function select(
  dir: string,
  disk: Disk,
  release: string | null,
): Promise<{ facts: LedgerFacts; selected: StoredRecord[]; known: string[]; keyRecords: StoredRecord[] }> {
  const selected: StoredRecord[] = [];
  const keyRecords: StoredRecord[] = [];
  const ids = new Set<string>();
  const known = new Set<string>();
  let facts: LedgerFacts | null = null;
  for await (const stored of readFolder(dir, disk)) {
    const { record } = stored;
    if (facts) applyFacts(facts, record);
    else facts = factsOf(record);
    if (record.seq === 0 || record.type === KEY_ROTATED) keyRecords.push(stored);
    const name = releaseOf(record);
    if (name !== null) known.add(name);
    if (release !== null && !isAbout(record, release, ids)) continue;
    ids.add(record.id);
    selected.push(stored);
  }
  return { facts: facts!, selected, known: [...known], keyRecords };
}

function union(a: StoredRecord[], b: StoredRecord[]): StoredRecord[] {
  const seqs = new Set(a.map(({ record }) => record.seq));
  return [...a, ...b.filter(({ record }) => !seqs.has(record.seq))];
}

class ExportWriter {
  readonly #outDir: string;
  readonly #sums: string[] = [];

  constructor(outDir: string) {
    this.#outDir = outDir;
  }

  async write(path: string, content: string | Uint8Array): Promise<void> {
    const target = join(this.#outDir, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content, { flag: 'wx' });
    this.#sums.push(`${createHash('sha256').update(content).digest('hex')}  ${path}\n`);
  }

  async finish(): Promise<void> {
    await writeFile(
      join(this.#outDir, 'SHA256SUMS'),
      this.#sums.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1)).join(''),
    );
  }
}

async function writeFiles(disk: Disk, dir: string, records: StoredRecord[], writer: ExportWriter): Promise<number> {
  const taken = new Set<string>();
  const rows = [tsvRow(['sha256', 'seq', 'time', 'path', 'description'])];
  for (const { record } of records) {
    for (const att of record.att ?? []) {
      let path = `evidence/${folderOf(record)}/${evidenceFileName(record, att)}`;
      if (taken.has(path)) path = path.replace(/(\.[^.]+)$/, `-${record.seq}-${taken.size}$1`);
      taken.add(path);
      await writer.write(path, await readAttachment(disk, dir, att.sha256));
      rows.push(tsvRow([att.sha256, record.seq, record.time, path, att.desc]));
    }
  }
  await writer.write('DESCRIPTIONS.tsv', rows.join(''));
  return taken.size;
}

async function writeProofs(
  leaves: readonly BinaryHash[],
  records: StoredRecord[],
  head: TreeHead,
  checkpoint: string,
  writer: ExportWriter,
): Promise<void> {
  const node = nodesOfLeaves(leaves);
  for (const { record } of records) {
    await writer.write(`proofs/${record.seq}.tlog-proof`, await tlogProof(node, record.seq, head, checkpoint));
  }
}

/**
 * The log up to the signed size and what it refers to, so that the chain and the tree can be rebuilt. The ledger goes on
 * meanwhile: what came after the checkpoint, in the log or among the seals, would not fit to it.
 */
async function writeLedgerCopy(
  disk: Disk,
  dir: string,
  signed: { checkpoint: string; size: number },
  writer: ExportWriter,
): Promise<void> {
  const sealed: string[] = [];
  const { seals } = await readSeals(disk, dir);
  for (const { name, firstSeq } of await listSegments(disk, dir)) {
    if (firstSeq >= signed.size) break;
    const bytes = await disk.read(layout.segment(dir, name));
    const whole = firstLines(bytes, signed.size - firstSeq);
    await writer.write(`ledger/log/${name}`, whole);
    const seal = whole.length === bytes.length ? seals.get(name) : undefined;
    if (seal) sealed.push(sealLine(seal, name));
  }
  if (sealed.length > 0) await writer.write('ledger/SEALS', sealed.join(''));
  await writer.write('ledger/checkpoint', signed.checkpoint);
  for (const name of ['LEDGER.json', 'log-key.pem']) {
    if (await disk.stat(join(dir, name))) await writer.write(`ledger/${name}`, await disk.read(join(dir, name)));
  }
  for (const folder of await disk.list(layout.cas(dir))) {
    for (const sha256 of await disk.list(join(layout.cas(dir), folder))) {
      if (!/^[0-9a-f]{64}$/.test(sha256)) continue;
      await writer.write(`ledger/cas/${folder}/${sha256}`, await readAttachment(disk, dir, sha256));
    }
  }
}

/** Tiles and entry bundles of the signed size: with `checkpoint` beside them a static log that tlog clients can read. */
async function writeTiles(leaves: readonly BinaryHash[], records: StoredRecord[], writer: ExportWriter): Promise<void> {
  for (const { level, index, hashes } of tilesOf(leaves)) {
    await writer.write(`ledger/${tilePath(level, index, hashes.length)}`, Buffer.from(hashes.join(''), 'latin1'));
    if (level > 0) continue;
    const lines = records.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH).map(({ line }) => line);
    await writer.write(`ledger/${bundlePath(index, lines.length)}`, entryBundle(lines));
  }
}

/** Cosigned and timestamped checkpoints: all of them, or for a single release the newest that is exported with it. */
async function writeAnchors(disk: Disk, dir: string, size: number, writer: ExportWriter, all: boolean): Promise<void> {
  const sizes = (await disk.list(layout.checkpoints(dir)))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((anchored) => anchored <= size)
    .sort((a, b) => a - b);
  for (const anchored of all ? sizes : sizes.slice(-1)) {
    await writer.write(`checkpoints/${anchored}`, await disk.read(`${layout.checkpoints(dir)}/${anchored}`));
    for (const kind of ['cosig', 'tsr']) {
      const path = `${layout.anchors(dir)}/${anchored}.${kind}`;
      if (await disk.stat(path)) await writer.write(`anchors/${anchored}.${kind}`, await disk.read(path));
    }
  }
}
