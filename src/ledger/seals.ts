import { type Disk, writeFileDurably } from './disk.ts';
import { layout } from './layout.ts';
import { listSegments } from './replay.ts';
import { sealLine, sealSegment } from './segment-log.ts';

const SEAL_LINE = /^([0-9a-f]{64}) {2}log\/(\d{16}\.jsonl)$/;

/** SHA-256 of every sealed segment by name, in order; `torn` when the file ends in half a line. */
export async function readSeals(
  disk: Disk,
  dir: string,
): Promise<{ seals: Map<string, string>; problem: string | null }> {
  const seals = new Map<string, string>();
  if (!(await disk.stat(layout.seals(dir)))) return { seals, problem: null };
  const lines = (await disk.read(layout.seals(dir))).toString('utf8').split('\n');
  const rest = lines.pop();
  for (const line of lines) {
    const match = SEAL_LINE.exec(line);
    if (!match) return { seals, problem: `has a malformed line "${line.slice(0, 80)}"` };
    seals.set(match[2]!, match[1]!);
  }
  return { seals, problem: rest === '' ? null : 'ends in half a line' };
}

/** Finishes what a crash interrupted: half a line in SEALS is dropped, a full segment without a seal gets one. */
export async function repairSeals(disk: Disk, dir: string, openFirstSeq: number): Promise<void> {
  const { seals, problem } = await readSeals(disk, dir);
  if (problem) {
    const text = [...seals].map(([name, sha256]) => sealLine(sha256, name)).join('');
    await writeFileDurably(disk, layout.seals(dir), Buffer.from(text));
  }
  for (const segment of await listSegments(disk, dir)) {
    if (segment.firstSeq >= openFirstSeq || seals.has(segment.name)) continue;
    await sealSegment(disk, dir, segment.firstSeq);
  }
}

/** Segments not sealed yet: only these may be cut or rewritten. */
export async function unsealedSegments(disk: Disk, dir: string): Promise<string[]> {
  const { seals } = await readSeals(disk, dir);
  return (await listSegments(disk, dir)).map((s) => s.name).filter((name) => !seals.has(name));
}
