import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmod, cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { signCheckpoint } from '../checkpoint.ts';
import { leafHash } from '../codec.ts';
import { keyIdOf, type NoteSigner, rawPublicKey } from '../keys.ts';
import { segmentName } from '../layout.ts';
import { Frontier } from '../tree.ts';

export const SIZE = 1_000;
/** The checkpoint that the auditor kept. */
export const REMEMBERED = 800;
const SEGMENT_RECORDS = 256;

/** What an attacker with write access to the whole folder can use. */
export interface Loot {
  origin: string;
  /** The ledger's own key: only some attackers have it. */
  logKey: NoteSigner;
  /** Lines and checkpoint of an older copy. */
  older: { lines: string[]; checkpoint: string };
}

export interface Attack {
  name: string;
  /** Lines and checkpoint after the attack; null keeps the checkpoint that was there. */
  run(lines: string[], loot: Loot): { lines: string[]; checkpoint: string | null };
  /** Whether each check detects it: chain alone, with the signed checkpoint, with a remembered one. */
  outcome: [chain: boolean, signed: boolean, remembered: boolean];
  /** First bad seq, where the check can name it exactly. */
  seq?: number;
}

const edit = (line: string): string => line.replace(/"amount":\d+/, '"amount":666');

/** Chains the lines anew from `from` on, as if they had been written so. Every record is in a stream of its own. */
function rehash(lines: string[], from: number): string[] {
  const out = [...lines];
  for (let seq = Math.max(1, from); seq < out.length; seq++) {
    out[seq] = out[seq]!.replace(/"seq":\d+/, `"seq":${seq}`).replace(
      /"prev":"[0-9a-f]{64}"/,
      `"prev":"${leafHash(out[seq - 1]!)}"`,
    );
  }
  return out;
}

function sign(lines: string[], origin: string, key: NoteSigner): string {
  const frontier = new Frontier();
  for (const line of lines) frontier.append(leafHash(line));
  return signCheckpoint({ origin, size: lines.length, root: frontier.rootHex() }, { ...key, name: origin });
}

function strangerKey(origin: string): NoteSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519') as { privateKey: KeyObject; publicKey: KeyObject };
  return { name: origin, algorithm: 1, keyId: keyIdOf(origin, 1, rawPublicKey(publicKey)), privateKey, publicKey };
}

const replaceAt = (lines: string[], seq: number, change: (line: string) => string): string[] =>
  lines.map((line, i) => (i === seq ? change(line) : line));

export const ATTACKS: Attack[] = [
  {
    name: 'edit a record in the middle',
    run: (lines) => ({ lines: replaceAt(lines, 500, edit), checkpoint: null }),
    outcome: [true, true, true],
    seq: 500,
  },
  {
    name: 'delete a record in the middle',
    run: (lines) => ({ lines: lines.filter((_, i) => i !== 500), checkpoint: null }),
    outcome: [true, true, true],
    seq: 500,
  },
  {
    name: 'swap two records in the middle',
    run: (lines) => ({
      lines: [...lines.slice(0, 500), lines[501]!, lines[500]!, ...lines.slice(502)],
      checkpoint: null,
    }),
    outcome: [true, true, true],
    seq: 500,
  },
  {
    name: 'edit the last record',
    run: (lines) => ({ lines: replaceAt(lines, SIZE - 1, edit), checkpoint: null }),
    outcome: [false, true, false],
  },
  {
    name: 'edit a record, re-hash the rest, without the key',
    run: (lines) => ({ lines: rehash(replaceAt(lines, 500, edit), 501), checkpoint: null }),
    outcome: [false, true, true],
  },
  {
    name: 'delete a record, re-hash the rest, without the key',
    run: (lines) => ({
      lines: rehash(
        lines.filter((_, i) => i !== 700),
        700,
      ),
      checkpoint: null,
    }),
    outcome: [false, true, true],
  },
  {
    name: 'edit a record, re-hash the rest, sign with another key',
    run: (lines, loot) => {
      const forged = rehash(replaceAt(lines, 500, edit), 501);
      return { lines: forged, checkpoint: sign(forged, loot.origin, strangerKey(loot.origin)) };
    },
    outcome: [false, true, true],
  },
  {
    name: 'cut the tail to 900 records, keep the checkpoint',
    run: (lines) => ({ lines: lines.slice(0, 900), checkpoint: null }),
    outcome: [false, true, false],
  },
  {
    name: 'put an older copy (700 records) back with its old checkpoint',
    run: (_, { older }) => ({ lines: older.lines, checkpoint: older.checkpoint }),
    outcome: [false, false, true],
  },
  {
    name: 'rewrite before 800 and sign with the real key',
    run: (lines, loot) => {
      const forged = rehash(replaceAt(lines, 500, edit), 501);
      return { lines: forged, checkpoint: sign(forged, loot.origin, loot.logKey) };
    },
    outcome: [false, false, true],
  },
  {
    name: 'fork before 800, shown to another party, real key',
    run: (lines, loot) => {
      const forged = rehash([...lines.slice(0, 750), ...lines.slice(750, 900).map(edit)], 750);
      return { lines: forged, checkpoint: sign(forged, loot.origin, loot.logKey) };
    },
    outcome: [false, false, true],
  },
  {
    name: 'rewrite after the last witnessed size, real key',
    run: (lines, loot) => {
      const forged = rehash(replaceAt(lines, 900, edit), 901);
      return { lines: forged, checkpoint: sign(forged, loot.origin, loot.logKey) };
    },
    outcome: [false, false, false],
  },
];

export async function readLines(dir: string): Promise<string[]> {
  const names = (await readdir(join(dir, 'log'))).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(dir, 'log', name), 'utf8')));
  return texts.join('').trimEnd().split('\n');
}

/** A copy of the folder after the attack: segments and SEALS made to fit, everything unsigned that could tell removed. */
export async function attackedCopy(dir: string, target: string, attack: Attack, loot: Loot): Promise<void> {
  const forged = attack.run(await readLines(dir), loot);
  await rm(target, { recursive: true, force: true });
  await cp(dir, target, { recursive: true });
  for (const name of ['log', 'tile', 'terms', 'snap', 'checkpoints'])
    await rm(join(target, name), { recursive: true, force: true });
  await mkdir(join(target, 'log'));
  const seals: string[] = [];
  for (let first = 0; first < forged.lines.length; first += SEGMENT_RECORDS) {
    const lines = forged.lines.slice(first, first + SEGMENT_RECORDS);
    const text = `${lines.join('\n')}\n`;
    const name = segmentName(first);
    await writeFile(join(target, 'log', name), text);
    if (lines.length < SEGMENT_RECORDS) continue;
    seals.push(`${createHash('sha256').update(text).digest('hex')}  log/${name}\n`);
    await chmod(join(target, 'log', name), 0o444);
  }
  await writeFile(join(target, 'SEALS'), seals.join(''));
  if (forged.checkpoint !== null) await writeFile(join(target, 'checkpoint'), forged.checkpoint);
}
