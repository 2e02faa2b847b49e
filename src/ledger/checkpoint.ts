import { DavyError } from '../lib/error.ts';
import { ledgerErrors } from './errors.ts';
import type { NoteSigner, NoteVerifier } from './keys.ts';
import { isSignedBy, parseNote, signNote } from './note.ts';

/** What a checkpoint commits to: the first `size` records of the log `origin` have this Merkle root. */
export interface TreeHead {
  origin: string;
  size: number;
  /** Hex. */
  root: string;
}

/** C2SP tlog-checkpoint: origin, size, base64 root; no extension lines. */
function checkpointText(head: TreeHead): string {
  return `${head.origin}\n${head.size}\n${Buffer.from(head.root, 'hex').toString('base64')}\n`;
}

export function signCheckpoint(head: TreeHead, signer: NoteSigner): string {
  return signNote(checkpointText(head), signer);
}

function refuse(sentence: string): never {
  throw new DavyError(ledgerErrors['bad-checkpoint'], sentence);
}

/** Reads the three lines of a checkpoint's text; throws `ledger/bad-checkpoint`. Extension lines are allowed and ignored. */
export function parseTreeHead(text: string): TreeHead {
  const [origin = '', sizeText = '', rootText = ''] = text.split('\n');
  const size = Number(sizeText);
  if (origin === '') return refuse('The checkpoint names no origin.');
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(sizeText) || !Number.isSafeInteger(size)) {
    return refuse(`The checkpoint's size "${sizeText.slice(0, 40)}" is not a count.`);
  }
  const root = Buffer.from(rootText, 'base64');
  if (root.length !== 32 || root.toString('base64') !== rootText)
    return refuse("The checkpoint's root is not a SHA-256.");
  return { origin, size, root: root.toString('hex') };
}

/**
 * Opens a checkpoint: right origin, signed by the log's key. Throws `ledger/checkpoint-origin` or
 * `ledger/bad-checkpoint`.
 */
export function openCheckpoint(note: string, verifier: NoteVerifier): TreeHead {
  const parsed = parseNote(note);
  const head = parseTreeHead(parsed.text);
  if (head.origin !== verifier.name) {
    throw new DavyError(
      ledgerErrors['checkpoint-origin'],
      `The checkpoint is of "${head.origin}", the ledger is "${verifier.name}".`,
    );
  }
  if (!isSignedBy(parsed, verifier)) return refuse('The checkpoint has no valid signature of the ledger key.');
  return head;
}
