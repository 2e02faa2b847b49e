import { DavyError, messageOf } from '../lib/error.ts';
import { parseTreeHead } from './checkpoint.ts';
import { cosignedAt } from './cosignature.ts';
import { ledgerErrors } from './errors.ts';
import type { NoteVerifier } from './keys.ts';
import { parseNote } from './note.ts';
import { consistencyProof, type NodeSource } from './proof.ts';
import { formatAddCheckpoint } from './witness.ts';

export interface WitnessTarget {
  url: string;
  verifier: NoteVerifier;
}

export interface Cosigned {
  /** Signature lines of this witness. */
  lines: string;
  /** Seconds since the epoch, as the witness signed it. */
  timeSec: number;
}

/** The witness has cosigned more records than the ledger has: some of the ledger's are lost. */
export class WitnessAhead extends DavyError {
  readonly seenSize: number;

  constructor(name: string, seenSize: number, size: number) {
    super(
      ledgerErrors['witness-refused'],
      `The witness ${name} has already cosigned ${seenSize} records, this ledger had ${size}.`,
    );
    this.seenSize = seenSize;
  }
}

const TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Asks a witness to cosign a checkpoint. `knownSize` is what it is believed to have seen; when it says otherwise it is
 * asked once more from there. `ownSize` is the most that it can have seen of this history, the checkpoint's size unless
 * given. Rejects with `WitnessAhead` when it has seen more, `ledger/witness-refused` (it has seen another history),
 * `ledger/witness-lacks-key` (after a rotation) or `ledger/witness-unreachable`.
 */
export async function requestCosignature(
  target: WitnessTarget,
  checkpoint: string,
  node: NodeSource,
  knownSize: number,
  ownSize?: number,
): Promise<Cosigned> {
  const { size } = parseTreeHead(parseNote(checkpoint).text);
  const most = ownSize ?? size;
  let oldSize = knownSize;
  for (let attempt = 0; attempt < 2; attempt++) {
    const proof = await consistencyProof(node, oldSize, size);
    const answer = await post(target, formatAddCheckpoint({ oldSize, proof, checkpoint }));
    if (answer.status === 200) return accept(target, checkpoint, answer.body);
    // C2SP tlog-witness: 404 for an origin, 403 for a signature that the witness does not know.
    if (answer.status === 404) return lacksKey(target, 'does not serve this ledger');
    if (answer.status === 403) return lacksKey(target, 'knows no key that signed this checkpoint');
    const seen = answer.status === 409 ? Number(answer.body.trim()) : Number.NaN;
    if (!Number.isSafeInteger(seen) || seen === oldSize) {
      return refused(target, `answered ${answer.status}: ${answer.body.trim().slice(0, 200)}`);
    }
    if (seen > most) throw new WitnessAhead(target.verifier.name, seen, most);
    oldSize = seen;
  }
  return refused(target, 'changed its mind about what it has seen');
}

function lacksKey(target: WitnessTarget, why: string): never {
  const sentence = `The witness ${target.verifier.name} ${why}.`;
  throw new DavyError(ledgerErrors['witness-lacks-key'], sentence);
}

function refused(target: WitnessTarget, why: string): never {
  throw new DavyError(ledgerErrors['witness-refused'], `The witness ${target.verifier.name} ${why}.`);
}

function accept(target: WitnessTarget, checkpoint: string, lines: string): Cosigned {
  const timeSec = cosignedAt(parseNote(checkpoint + lines), target.verifier);
  if (timeSec === null) return refused(target, 'answered without a valid cosignature');
  return { lines, timeSec };
}

/** What went wrong on the way; `fetch` itself only says that it failed. */
export function networkProblem(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && cause.message !== '' ? cause.message : messageOf(error);
}

async function post(target: WitnessTarget, body: string): Promise<{ status: number; body: string }> {
  const url = new URL('add-checkpoint', target.url.endsWith('/') ? target.url : `${target.url}/`);
  try {
    const response = await fetch(url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = (await response.text()).slice(0, MAX_ANSWER_BYTES);
    return { status: response.status, body: text };
  } catch (error) {
    throw new DavyError(
      ledgerErrors['witness-unreachable'],
      `The witness ${target.verifier.name} at ${url.origin} did not answer: ${networkProblem(error)}.`,
      { cause: error },
    );
  }
}
