import { hash } from 'node:crypto';
import { DavyError } from '../lib/error.ts';
import { ledgerErrors } from './errors.ts';
import { copyJsonObject } from './json.ts';
import type { Actor, Attachment, JsonObject, LedgerRecord, NewEvent } from './record.ts';
import type { Scrubber } from './scrub.ts';

export const ZERO_HASH = '0'.repeat(64);

/** A log entry's length is a uint16 in C2SP tlog-tiles bundles, so a line without its LF has at most this many bytes. */
export const MAX_LINE_BYTES = 65_535;
export const MAX_EVENTS_PER_APPEND = 1_024;

const TYPE = /^[A-Za-z][A-Za-z0-9]*(?:[._-][A-Za-z0-9]+)*$/;
const STREAM = /^[A-Za-z0-9][A-Za-z0-9._~:@+/-]*$/;
const SHA256_HEX = /^[0-9a-f]{64}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: names with control characters are what this refuses
const UNSAFE_NAME = /[\u0000-\u001f\u007f/\\]/;

/** RFC 6962 section 2.1: the hash of a leaf is SHA-256(0x00 || entry); the entry is the line without its LF. */
export function leafHash(line: string): string {
  return hash('sha256', `\0${line}`, 'hex');
}

/** An event checked, copied and serialised as far as possible before its place in the chain is known. */
export interface PreparedEvent {
  type: string;
  stream: string;
  actor: Actor;
  cause: string | undefined;
  data: JsonObject;
  att: Attachment[] | undefined;
  sd: string[] | undefined;
  /** `","type":…,"stream":…,"sv":` */
  nameJson: string;
  /** `,"actor":…[,"cause":…]` */
  actorJson: string;
  /** `],"data":…[,"att":…][,"sd":…]}` */
  bodyJson: string;
}

const CONTROLLER: Actor = { kind: 'controller', id: 'davy' };
const CONTROLLER_JSON = `,"actor":${JSON.stringify(CONTROLLER)}`;

function refuse(sentence: string): never {
  throw new DavyError(ledgerErrors['bad-event'], sentence);
}

function checkText(value: unknown, what: string, maxLength: number, pattern?: RegExp): string {
  if (typeof value !== 'string' || value.length === 0 || value.length > maxLength) {
    return refuse(`${what} must be a text of 1 to ${maxLength} characters.`);
  }
  if (!value.isWellFormed() || (pattern && !pattern.test(value))) {
    return refuse(`${what} ${JSON.stringify(value.slice(0, 80))} has characters that are not allowed there.`);
  }
  return value;
}

function checkActor(actor: Actor, scrubber: Scrubber): Actor {
  if (actor.kind !== 'person' && actor.kind !== 'controller' && actor.kind !== 'schedule') {
    return refuse('actor.kind must be person, controller or schedule.');
  }
  return { kind: actor.kind, id: scrubber.text(checkText(actor.id, 'actor.id', 200)) };
}

/** Refuses what could leave its folder or deceive a reader when the name is used for a file. */
export function checkAttachmentName(name: unknown): string {
  const text = checkText(name, 'the name of an attachment', 200);
  if (UNSAFE_NAME.test(text) || text === '.' || text === '..') {
    throw new DavyError(
      ledgerErrors['bad-name'],
      `The attachment name ${JSON.stringify(text)} is a path or holds control characters.`,
    );
  }
  // What is not UTF-8 arrives with replacement characters: two readers would see two names.
  if (text.includes('\ufffd')) {
    throw new DavyError(ledgerErrors['bad-name'], `The attachment name ${JSON.stringify(text)} is not UTF-8.`);
  }
  return text;
}

function checkAttachment(att: Attachment, scrubber: Scrubber): Attachment {
  if (typeof att.sha256 !== 'string' || !SHA256_HEX.test(att.sha256))
    return refuse('att.sha256 must be 64 hex digits.');
  if (!Number.isSafeInteger(att.size) || att.size < 0) return refuse('att.size must be a count of bytes.');
  return {
    sha256: att.sha256,
    size: att.size,
    type: checkText(att.type, 'att.type', 100),
    name: scrubber.text(checkAttachmentName(att.name)),
    desc: scrubber.text(checkText(att.desc, 'att.desc', 1_000)),
  };
}

/** Throws `ledger/bad-event` with the field and the reason. */
export function prepareEvent(event: NewEvent, scrubber: Scrubber): PreparedEvent {
  const type = checkText(event.type, 'type', 100, TYPE);
  const stream = checkText(event.stream, 'stream', 200, STREAM);
  const actor = event.actor ? checkActor(event.actor, scrubber) : CONTROLLER;
  const cause = event.cause === undefined ? undefined : checkText(event.cause, 'cause', 100);
  const data = copyJsonObject(event.data, 'data', scrubber);
  const att = event.att?.length ? event.att.map((one) => checkAttachment(one, scrubber)) : undefined;
  const sd = event.sd?.length ? event.sd.map((digest) => checkText(digest, 'sd', 100)) : undefined;
  let actorJson = actor === CONTROLLER ? CONTROLLER_JSON : `,"actor":${JSON.stringify(actor)}`;
  if (cause !== undefined) actorJson += `,"cause":${JSON.stringify(cause)}`;
  let bodyJson = `],"data":${JSON.stringify(data)}`;
  if (att) bodyJson += `,"att":${JSON.stringify(att)}`;
  if (sd) bodyJson += `,"sd":${JSON.stringify(sd)}`;
  bodyJson += '}';
  const nameJson = `","type":"${type}","stream":"${stream}","sv":`;
  return { type, stream, actor, cause, data, att, sd, nameJson, actorJson, bodyJson };
}

/** Where an event gets its place in the chain. */
export type Place = Pick<LedgerRecord, 'seq' | 'time' | 'w' | 'term' | 'prev' | 'id' | 'sv' | 'key' | 'tx'>;

/**
 * The line of a record, without its LF and behind a NUL character: what its leaf hash is taken of. Field order is part of
 * the format; these bytes are hashed and never rebuilt.
 */
export function encodeEntry({ seq, time, w, term, prev, id, sv, key, tx }: Place, event: PreparedEvent): string {
  const keyJson = key === undefined ? '' : `,"key":${JSON.stringify(key)}`;
  return (
    `\0{"v":1,"seq":${seq},"time":"${time}","w":"${w}","term":${term},"prev":"${prev}","id":"${id}` +
    `${event.nameJson}${sv}${event.actorJson}${keyJson},"tx":[${tx[0]},${tx[1]}${event.bodyJson}`
  );
}

export function recordOf(place: Place, event: PreparedEvent): LedgerRecord {
  const record: LedgerRecord = {
    v: 1,
    seq: place.seq,
    time: place.time,
    w: place.w,
    term: place.term,
    prev: place.prev,
    id: place.id,
    type: event.type,
    stream: event.stream,
    sv: place.sv,
    actor: event.actor,
    tx: place.tx,
    data: event.data,
  };
  if (event.cause !== undefined) record.cause = event.cause;
  if (place.key !== undefined) record.key = place.key;
  if (event.att) record.att = event.att;
  if (event.sd) record.sd = event.sd;
  return record;
}

/** A line known to be good (it was verified when the ledger was opened). */
export function decodeLine(line: string): LedgerRecord {
  return JSON.parse(line) as LedgerRecord;
}
