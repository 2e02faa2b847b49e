import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { DavyError } from '../lib/error.ts';
import { type Disk, writeFileDurably } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import { layout } from './layout.ts';
import type { Ledger } from './ledger.ts';
import { nodeDisk } from './node-disk.ts';
import type { Actor, JsonObject, NewEvent } from './record.ts';

const CONCEALED = 'privacy.concealed';
const ERASED = 'privacy.erased';
const PRIVACY_STREAM = 'privacy';
/** Commitments in one record: 64 KiB hold about 1,400. */
const ERASED_PER_RECORD = 1_000;
const MAX_FIELDS = 50;
const MAX_VALUE_CHARS = 10_000;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
const IV_BYTES = 12;

export interface Disclosure {
  name: string;
  value: string;
  /** The text whose hash is the commitment; give it to an auditor beside the proof. */
  disclosure: string;
}

export interface VaultOptions {
  /** The ledger folder. */
  dir: string;
  disk?: Disk;
  random?: (bytes: number) => Buffer;
}

interface Sealed {
  v: 1;
  subject: string;
  iv: string;
  tag: string;
  data: string;
}

export interface Erasure {
  actor: Actor;
  /** The legal ground, for example `GDPR Art. 17(1)(b)`. */
  basis: string;
  reason?: string;
}

export interface Erased {
  /** The (first) record of the erasure. */
  seq: number;
  commitments: string[];
}

/** The event that commits to personal values of somebody; the values themselves never come near it. */
export function concealedEvent(
  sd: string[],
  about: { actor: Actor; release: string | null; reason: string; fields: string[] },
): NewEvent {
  const { actor, release, reason, fields } = about;
  const data: JsonObject = { fields, reason, ...(release !== null && { release }) };
  return { type: CONCEALED, stream: PRIVACY_STREAM, actor, data, sd };
}

/** The commitment to a disclosure as in SD-JWT (RFC 9901 section 4.2): base64url(SHA-256(disclosure)). */
export function commitmentOf(disclosure: string): string {
  return createHash('sha256').update(disclosure, 'ascii').digest('base64url');
}

/**
 * Personal values that the ledger must be able to prove and to forget. A record carries only salted commitments (`sd`);
 * the values lie here, encrypted under a key per person. Erasing deletes the values and the key: what stays in the
 * chain commits to 128 random bits that nobody has any more. The keys lie beside the ledger folder, so that a copy of
 * the ledger alone discloses nothing.
 */
export class Vault {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #random: (bytes: number) => Buffer;
  /** One change at a time: two first values of a person would else be given two keys, of which one is lost. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: VaultOptions) {
    this.#disk = options.disk ?? nodeDisk;
    this.#dir = options.dir;
    this.#random = options.random ?? randomBytes;
  }

  /**
   * Stores the values of a person; the commitments go into `sd` of the event. Durable when it resolves. At most 50 fields
   * of 10,000 characters.
   */
  conceal(subject: string, fields: Record<string, string>): Promise<string[]> {
    return this.#inTurn(() => this.#conceal(subject, fields));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(work);
    this.#turn = run.catch(() => undefined);
    return run;
  }

  async #conceal(subject: string, fields: Record<string, string>): Promise<string[]> {
    checkFields(fields);
    const key = await this.#keyOf(subject);
    await this.#disk.makeDir(layout.vault(this.#dir));
    const commitments: string[] = [];
    for (const [name, value] of Object.entries(fields)) {
      const salt = this.#random(SALT_BYTES).toString('base64url');
      const disclosure = Buffer.from(JSON.stringify([salt, name, value])).toString('base64url');
      const commitment = commitmentOf(disclosure);
      const sealed = this.#seal(disclosure, key, subjectHash(subject), commitment);
      await writeFileDurably(this.#disk, this.#pathOf(commitment), Buffer.from(JSON.stringify(sealed)), 0o600);
      commitments.push(commitment);
    }
    return commitments;
  }

  /** The value behind a commitment; rejects with `ledger/erased` when it was erased or was never here. */
  async reveal(commitment: string): Promise<Disclosure> {
    const sealed = await this.#read(commitment);
    const key = sealed && (await this.#readKey(sealed.subject));
    if (!sealed || !key) throw new DavyError(ledgerErrors.erased, `Nothing is kept for the commitment ${commitment}.`);
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(sealed.iv, 'base64'));
    decipher.setAAD(Buffer.from(commitment));
    decipher.setAuthTag(Buffer.from(sealed.tag, 'base64'));
    const disclosure = Buffer.concat([decipher.update(Buffer.from(sealed.data, 'base64')), decipher.final()]).toString(
      'ascii',
    );
    const [, name, value] = JSON.parse(Buffer.from(disclosure, 'base64url').toString('utf8')) as [
      string,
      string,
      string,
    ];
    return { name, value, disclosure };
  }

  /** Whether something is kept under this commitment, readable or not. */
  async has(commitment: string): Promise<boolean> {
    return (await this.#read(commitment)) !== null;
  }

  /** Commitments to values of a person that are kept here. */
  async commitmentsOf(subject: string): Promise<string[]> {
    const hash = subjectHash(subject);
    const found: string[] = [];
    for (const commitment of await this.#disk.list(layout.vault(this.#dir))) {
      if ((await this.#read(commitment))?.subject === hash) found.push(commitment);
    }
    return found;
  }

  /**
   * Forgets a person: their key first, so that a crash half way leaves nothing readable; then the erasure is recorded
   * with its legal basis; then what nobody can read any more is removed. Until then it says what was erased, so asking
   * again after a failure ends what was begun. Rejects with `ledger/erased` when nothing is kept of the person.
   */
  erase(subject: string, ledger: Ledger, about: Erasure): Promise<Erased> {
    return this.#inTurn(() => this.#erase(subject, ledger, about));
  }

  async #erase(subject: string, ledger: Ledger, about: Erasure): Promise<Erased> {
    const commitments = await this.commitmentsOf(subject);
    // A key without values is erased as well: they may lie with a ledger that this one continues, or in a backup.
    const hasKey = (await this.#readKey(subjectHash(subject))) !== null;
    if (commitments.length === 0 && !hasKey)
      throw new DavyError(ledgerErrors.erased, 'Nothing is kept of this person.');
    await this.#disk.makeDir(this.#keyDir());
    await this.#disk.remove(this.#keyPath(subjectHash(subject)));
    await this.#disk.syncDir(this.#keyDir());
    const { actor, basis, reason } = about;
    const events: NewEvent[] = [];
    for (let from = 0; from === 0 || from < commitments.length; from += ERASED_PER_RECORD) {
      const data: JsonObject = { commitments: commitments.slice(from, from + ERASED_PER_RECORD), basis };
      if (reason !== undefined) data.reason = reason;
      events.push({ type: ERASED, stream: PRIVACY_STREAM, actor, data });
    }
    const [record] = await ledger.append(events);
    for (const commitment of commitments) await this.#disk.remove(this.#pathOf(commitment));
    if (commitments.length > 0) await this.#disk.syncDir(layout.vault(this.#dir));
    return { seq: record!.seq, commitments };
  }

  #seal(disclosure: string, key: Buffer, subject: string, commitment: string): Sealed {
    const iv = this.#random(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, iv);
    cipher.setAAD(Buffer.from(commitment));
    const data = Buffer.concat([cipher.update(disclosure, 'ascii'), cipher.final()]);
    const base64 = (bytes: Buffer): string => bytes.toString('base64');
    return { v: 1, subject, iv: base64(iv), tag: base64(cipher.getAuthTag()), data: base64(data) };
  }

  #pathOf(commitment: string): string {
    return `${layout.vault(this.#dir)}/${commitment}`;
  }

  #keyDir(): string {
    return `${this.#dir}.vault-keys`;
  }

  #keyPath(hash: string): string {
    return `${this.#keyDir()}/${hash}`;
  }

  async #read(commitment: string): Promise<Sealed | null> {
    if (!/^[A-Za-z0-9_-]{43}$/.test(commitment)) return null;
    const path = this.#pathOf(commitment);
    if ((await this.#disk.stat(path))?.kind !== 'file') return null;
    return JSON.parse((await this.#disk.read(path)).toString('utf8')) as Sealed;
  }

  async #readKey(hash: string): Promise<Buffer | null> {
    const path = this.#keyPath(hash);
    return (await this.#disk.stat(path)) ? this.#disk.read(path) : null;
  }

  async #keyOf(subject: string): Promise<Buffer> {
    const hash = subjectHash(subject);
    const known = await this.#readKey(hash);
    if (known) return known;
    const key = this.#random(KEY_BYTES);
    await this.#disk.makeDir(this.#keyDir());
    await writeFileDurably(this.#disk, this.#keyPath(hash), key, 0o600);
    return key;
  }
}

/** Names of fields stand in the chain for ever, so they must not be values. */
const FIELD_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,59}$/;

function checkFields(fields: Record<string, string>): void {
  const refuse = (why: string): never => {
    throw new DavyError(ledgerErrors['bad-event'], `Personal values ${why}.`);
  };
  const entries = Object.entries(fields);
  if (entries.length === 0 || entries.length > MAX_FIELDS) refuse(`are 1 to ${MAX_FIELDS} fields`);
  for (const [name, value] of entries) {
    if (!FIELD_NAME.test(name)) refuse('have names of 1 to 60 letters, digits, dots, dashes or underscores');
    if (typeof value !== 'string' || value.length > MAX_VALUE_CHARS)
      refuse(`are texts of at most ${MAX_VALUE_CHARS} characters; "${name}" is not`);
  }
}

/** File names must not name the person. */
function subjectHash(subject: string): string {
  return createHash('sha256').update(`davy vault subject\n${subject}`).digest('hex');
}
