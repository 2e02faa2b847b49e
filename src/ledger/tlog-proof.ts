import { DavyError } from '../lib/error.ts';
import { openCheckpoint, type TreeHead } from './checkpoint.ts';
import { leafHash } from './codec.ts';
import { ledgerErrors } from './errors.ts';
import type { NoteVerifier } from './keys.ts';
import { checkInclusion, inclusionProof, type NodeSource } from './proof.ts';
import { type BinaryHash, toBinary, toHex } from './tree.ts';

const HEADER = 'c2sp.org/tlog-proof@v1';
const MAX_PROOF_HASHES = 63;

function hashToBase64(hash: BinaryHash): string {
  return Buffer.from(hash, 'latin1').toString('base64');
}

function base64ToHash(text: string): BinaryHash {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== 32 || bytes.toString('base64') !== text)
    return refuse(`has a line "${text.slice(0, 60)}" that is no hash`);
  return bytes.toString('latin1');
}

function refuse(why: string): never {
  throw new DavyError(ledgerErrors['bad-proof'], `The proof ${why}.`);
}

/** A C2SP tlog-proof: one record's place in the tree of a signed checkpoint, to be checked offline with the record's line. */
export async function tlogProof(
  node: NodeSource,
  seq: number,
  head: TreeHead,
  checkpointNote: string,
): Promise<string> {
  const hashes = await inclusionProof(node, seq, head.size);
  return `${HEADER}\nindex ${seq}\n${hashes.map((hash) => `${hashToBase64(hash)}\n`).join('')}\n${checkpointNote}`;
}

/** Checks a proof for a record's line (without LF) against the ledger's key; throws `ledger/bad-proof` and what else is wrong. */
export function checkTlogProof(proof: string, line: string, verifier: NoteVerifier): TreeHead & { seq: number } {
  const split = proof.indexOf('\n\n');
  const lines = proof.slice(0, split).split('\n');
  if (split === -1 || lines.shift() !== HEADER) return refuse(`does not begin with ${HEADER}`);
  if (lines[0]?.startsWith('extra ')) lines.shift();
  const index = /^index (0|[1-9][0-9]*)$/.exec(lines.shift() ?? '');
  if (!index) return refuse('names no index');
  if (lines.length > MAX_PROOF_HASHES) return refuse(`has more than ${MAX_PROOF_HASHES} hashes`);
  const head = openCheckpoint(proof.slice(split + 2), verifier);
  const seq = Number(index[1]);
  const hashes = lines.map(base64ToHash);
  if (!checkInclusion(hashes, seq, head.size, toBinary(leafHash(line)), toBinary(head.root))) {
    return refuse(
      `does not lead from record ${seq} to the root ${head.root.slice(0, 16)}… (leaf ${toHex(toBinary(leafHash(line))).slice(0, 16)}…)`,
    );
  }
  return { ...head, seq };
}
