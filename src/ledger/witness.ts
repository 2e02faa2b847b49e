import { DavyError } from '../lib/error.ts';
import { parseTreeHead, type TreeHead } from './checkpoint.ts';
import { cosign } from './cosignature.ts';
import type { NoteSigner, NoteVerifier } from './keys.ts';
import { isSignedBy, parseNote } from './note.ts';
import { checkConsistency } from './proof.ts';
import { toBinary } from './tree.ts';

/** At most this many proof lines (C2SP tlog-witness). */
const MAX_PROOF_LINES = 63;
export const MAX_REQUEST_BYTES = 64 * 1024;

export interface AddCheckpointRequest {
  oldSize: number;
  /** Binary hashes. */
  proof: string[];
  /** The signed note as received. */
  checkpoint: string;
}

/** What a witness remembers of one log. */
export type WitnessMemory = TreeHead | null;

export type WitnessAnswer =
  | { status: 200; body: string; remember: TreeHead }
  | { status: 400 | 403 | 404 | 422; body: string }
  | { status: 409; body: string; size: number };

/** Parses the body of `add-checkpoint`; null when it is malformed. */
export function parseAddCheckpoint(body: string): AddCheckpointRequest | null {
  const split = body.indexOf('\n\n');
  if (split === -1) return null;
  const [first = '', ...lines] = body.slice(0, split).split('\n');
  const old = /^old (0|[1-9][0-9]{0,15})$/.exec(first);
  if (!old || lines.length > MAX_PROOF_LINES) return null;
  const proof: string[] = [];
  for (const line of lines) {
    const bytes = Buffer.from(line, 'base64');
    if (bytes.length !== 32 || bytes.toString('base64') !== line) return null;
    proof.push(bytes.toString('latin1'));
  }
  return { oldSize: Number(old[1]), proof, checkpoint: body.slice(split + 2) };
}

export function formatAddCheckpoint(request: AddCheckpointRequest): string {
  const lines = request.proof.map((hash) => `${Buffer.from(hash, 'latin1').toString('base64')}\n`);
  return `old ${request.oldSize}\n${lines.join('')}\n${request.checkpoint}`;
}

/** The origin a request is about, so that the right memory can be locked; null when it cannot be read. */
export function originOf(request: AddCheckpointRequest): string | null {
  try {
    return parseTreeHead(parseNote(request.checkpoint).text).origin;
  } catch (error) {
    if (error instanceof DavyError) return null;
    throw error;
  }
}

export interface WitnessDecision {
  request: AddCheckpointRequest;
  /** Keys trusted for the origin; empty when it is unknown. */
  logKeys: NoteVerifier[];
  memory: WitnessMemory;
  signer: NoteSigner;
  nowMs: number;
}

/**
 * The witness's whole judgement (C2SP tlog-witness, add-checkpoint): it cosigns only what extends, hash by hash, the
 * last tree it cosigned. A fork, a rollback and a rewrite all end in 409 or 422. The caller must store `remember`
 * durably before it sends the answer.
 */
export function judgeCheckpoint({ request, logKeys, memory, signer, nowMs }: WitnessDecision): WitnessAnswer {
  const note = parseNote(request.checkpoint);
  const head = parseTreeHead(note.text);
  if (logKeys.length === 0) return { status: 404, body: 'unknown origin\n' };
  if (!logKeys.some((key) => isSignedBy(note, key))) return { status: 403, body: 'no signature of a known key\n' };
  if (request.oldSize > head.size) return { status: 400, body: 'old size is larger than the checkpoint\n' };
  const seen = memory?.size ?? 0;
  if (request.oldSize !== seen) return { status: 409, body: `${seen}\n`, size: seen };
  if (memory && head.size === seen && head.root !== memory.root) return { status: 409, body: `${seen}\n`, size: seen };
  const isConsistent = memory
    ? checkConsistency(request.proof, seen, head.size, toBinary(memory.root), toBinary(head.root))
    : request.proof.length === 0;
  if (!isConsistent) return { status: 422, body: 'the consistency proof does not verify\n' };
  return { status: 200, body: cosign(note.text, signer, Math.floor(nowMs / 1000)), remember: head };
}
