/**
 * Heads as they are sent on: the octets that came, less what belongs to one hop (RFC 9110 section 7.6.1), plus what a
 * gateway must or may add (Via 7.6.3, X-Forwarded-*, trace context, Date 6.6.1). The version sent is always our own.
 */
import { writeRandomHex } from '../random.ts';
import { ascii, copyBytes, HEX } from './bytes.ts';
import { forwardsLeft, type Head, isNominated } from './head.ts';
import { H, M } from './names.ts';

const HTTP_11 = ascii(' HTTP/1.1\r\n');
const STATUS_PREFIX = ascii('HTTP/1.1 ');
const CRLF = ascii('\r\n');
const HOST = ascii('Host: ');
const CHUNKED = ascii('Transfer-Encoding: chunked\r\n');
const CLOSE = ascii('Connection: close\r\n');
const KEEP_ALIVE = ascii('Connection: keep-alive\r\n');
const UPGRADE_OPTION = ascii('Connection: Upgrade\r\n');
const UPGRADE = ascii('Connection: Upgrade\r\nUpgrade: websocket\r\n');
const VIA_11 = ascii('Via: 1.1 davy\r\n');
const VIA_10 = ascii('Via: 1.0 davy\r\n');
const FORWARDED_HOST = ascii('X-Forwarded-Host: ');
const TRACEPARENT = ascii('traceparent: 00-');
const DATE = ascii('Date: ');
const SHADOW = ascii('-shadow');

/** Fields of one hop, by message. */
const REQUEST_HOP = [
  H.host,
  H.connection,
  H.keepAlive,
  H.te,
  H.upgrade,
  H.proxyConnection,
  H.proxyAuthorization,
  H.transferEncoding,
];
const RESPONSE_HOP = [H.connection, H.keepAlive, H.te, H.upgrade, H.proxyConnection, H.transferEncoding, H.causeHeader];
const FORWARDING = [H.forwarded, H.forwardedFor, H.forwardedProto, H.forwardedHost];
const TRACING = [H.traceparent, H.tracestate];

/** Which ids are left out: tables, so that nothing is allocated or decided per field. */
function dropTable(...lists: number[][]): Uint8Array {
  const table = new Uint8Array(32);
  for (const id of lists.flat()) table[id] = 1;
  return table;
}

/**
 * Indexed by: 1 if the peer is trusted, 2 if the request is traced, 4 if it is of HTTP/1.0 (its Expect means nothing), 8 if its Max-Forwards
 * is counted down.
 */
const requestDrops = Array.from({ length: 16 }, (_, index) => {
  const forwarding = (index & 1) === 0 ? FORWARDING : [];
  const tracing = (index & 2) === 0 ? TRACING : [];
  const expect = (index & 4) === 0 ? [] : [H.expect];
  return dropTable(REQUEST_HOP, forwarding, tracing, expect, (index & 8) === 0 ? [] : [H.maxForwards]);
});
/** Indexed by: 1 if Content-Length is left out, 2 if Upgrade is part of the answer (426). */
const responseDrops = Array.from({ length: 4 }, (_, index) => {
  const hop = (index & 2) === 0 ? RESPONSE_HOP : RESPONSE_HOP.filter((id) => id !== H.upgrade);
  return dropTable(hop, (index & 1) === 0 ? [] : [H.contentLength]);
});
const UPGRADE_REQUIRED = 426;

/** Fields that a Connection option cannot take away: they frame, route or trace the message. */
const PROTECTED = new Set<number>([
  H.upgrade,
  H.host,
  H.contentLength,
  H.transferEncoding,
  H.forwarded,
  H.forwardedFor,
  H.forwardedProto,
  H.forwardedHost,
  H.traceparent,
  H.tracestate,
]);

/** What the request's forwarding depends on besides its head. */
export interface ForwardContext {
  /** `X-Forwarded-For: <address>\r\nX-Forwarded-Proto: <scheme>\r\n` of this connection. */
  forwarded: Buffer;
  /** `Forwarded: for=<address>;proto=<scheme>\r\n`; used only behind a proxy that is believed. */
  element: Buffer;
  /** The peer is a proxy whose X-Forwarded-* and Forwarded fields are believed and extended. */
  trusted: boolean;
  /** Host for a request of HTTP/1.0 that has none. */
  fallbackHost: Buffer;
  webSocket: boolean;
  /** A request of HTTP/2 with a length goes on with that alone: its chunks are undone, for HTTP/1.1 frames content in one way only. */
  byLength: boolean;
}

/** Upper bound of what `writeRequestHead` adds to the octets of the head it was given. */
export const REQUEST_HEAD_EXTRA = 1024;

/** Writes the head to forward into `to` and returns its end. */
export function writeRequestHead(head: Head, buf: Uint8Array, to: Uint8Array, context: ForwardContext): number {
  const traced = hasTraceContext(head, buf);
  let at = writeTarget(head, buf, to);
  at = writeHost(head, buf, to, at, context.fallbackHost);
  const left = forwardsLeft(head, buf);
  const index = (context.trusted ? 1 : 0) | (traced ? 2 : 0) | (head.minor === 0 ? 4 : 0) | (left > 0 ? 8 : 0);
  at = copyFields(head, buf, to, at, requestDrops[index] as Uint8Array);
  at = context.trusted
    ? extendForwarding(head, to, at, context)
    : copyBytes(context.forwarded, 0, context.forwarded.length, to, at);
  at = writeForwardedHost(head, buf, to, at, context.trusted);
  if (left > 0) at = writeMaxForwards(left - 1, to, at);
  const via = head.minor === 1 ? VIA_11 : VIA_10;
  at = copyBytes(via, 0, via.length, to, at);
  if (!traced) at = writeTraceparent(to, at);
  if (head.chunked && !context.byLength) at = copyBytes(CHUNKED, 0, CHUNKED.length, to, at);
  if (context.webSocket) at = copyBytes(UPGRADE, 0, UPGRADE.length, to, at);
  return copyBytes(CRLF, 0, 2, to, at);
}

/**
 * A copy of a head that `writeRequestHead` wrote, whose Host says that it is one as Envoy's does: `-shadow` after the name, before the
 * port. An address in brackets has no room for it (RFC 3986 section 3.2.2) and stays what it is.
 */
export function shadowOf(head: Buffer): Buffer {
  const start = head.indexOf(HOST) + HOST.length;
  if (head[start] === 91) return Buffer.from(head);
  const end = head.indexOf(CRLF, start);
  const colon = head.subarray(start, end).indexOf(58);
  const at = colon < 0 ? end : start + colon;
  return Buffer.concat([head.subarray(0, at), SHADOW, head.subarray(at)]);
}

function writeMaxForwards(left: number, to: Uint8Array, at: number): number {
  const line = ascii(`Max-Forwards: ${left}\r\n`);
  return copyBytes(line, 0, line.length, to, at);
}

/** RFC 9112 section 3.2.2: absolute-form becomes origin-form; an empty path is `/`, or `*` for OPTIONS. */
function writeTarget(head: Head, buf: Uint8Array, to: Uint8Array): number {
  let at = copyBytes(buf, head.start, head.methodEnd, to, 0);
  to[at++] = 32;
  if (head.absolute && head.pathStart === head.targetEnd) to[at++] = head.method === M.options ? 42 : 47;
  else if (head.absolute && buf[head.pathStart] === 63) to[at++] = 47;
  at = copyBytes(buf, head.pathStart, head.targetEnd, to, at);
  return copyBytes(HTTP_11, 0, HTTP_11.length, to, at);
}

function writeHost(head: Head, buf: Uint8Array, to: Uint8Array, at: number, fallback: Buffer): number {
  at = copyBytes(HOST, 0, HOST.length, to, at);
  if (head.absolute) at = copyBytes(buf, head.authorityStart, head.authorityEnd, to, at);
  else if (head.hostAt >= 0) at = copyBytes(buf, head.valueStart[head.hostAt]!, head.valueEnd[head.hostAt]!, to, at);
  else at = copyBytes(fallback, 0, fallback.length, to, at);
  return copyBytes(CRLF, 0, 2, to, at);
}

function writeForwardedHost(head: Head, buf: Uint8Array, to: Uint8Array, at: number, trusted: boolean): number {
  if (head.hostAt < 0 && !head.absolute) return at;
  if (trusted && hasField(head, H.forwardedHost)) return at;
  const start = head.absolute ? head.authorityStart : head.valueStart[head.hostAt]!;
  const end = head.absolute ? head.authorityEnd : head.valueEnd[head.hostAt]!;
  at = copyBytes(FORWARDED_HOST, 0, FORWARDED_HOST.length, to, at);
  at = copyBytes(buf, start, end, to, at);
  return copyBytes(CRLF, 0, 2, to, at);
}

/**
 * Behind a proxy that is believed: the list of addresses grows by one line (RFC 9110 section 5.3), what the proxy says about the protocol stays,
 * and `Forwarded` (RFC 7239 section 4) gets an element of ours if it is there.
 */
function extendForwarding(head: Head, to: Uint8Array, at: number, { forwarded, element }: ForwardContext): number {
  const end = hasField(head, H.forwardedProto) ? forwarded.indexOf(10) + 1 : forwarded.length;
  at = copyBytes(forwarded, 0, end, to, at);
  return hasField(head, H.forwarded) ? copyBytes(element, 0, element.length, to, at) : at;
}

function hasField(head: Head, id: number): boolean {
  for (let i = 0; i < head.count; i++) if (head.id[i] === id) return true;
  return false;
}

/** Copies field lines, neighbours together, leaving out what `drops` marks and what Connection nominates. */
function copyFields(head: Head, buf: Uint8Array, to: Uint8Array, at: number, drops: Uint8Array): number {
  let from = -1;
  for (let i = 0; i < head.count; i++) {
    const id = head.id[i]!;
    const drop = drops[id] === 1 || (head.nominates && !PROTECTED.has(id) && isNominated(head, buf, i));
    if (!drop) {
      if (from < 0) from = head.lineStart[i]!;
    } else if (from >= 0) {
      at = copyBytes(buf, from, head.lineStart[i]!, to, at);
      from = -1;
    }
  }
  return from >= 0 ? copyBytes(buf, from, head.lineStart[head.count]!, to, at) : at;
}

/** Whether there is one valid `traceparent` (W3C Trace Context, section 3.2): version 00, lower-case hex, no zero ids. */
function hasTraceContext(head: Head, buf: Uint8Array): boolean {
  if (head.traceparentAt < 0) return false;
  const start = head.valueStart[head.traceparentAt]!;
  if (head.valueEnd[head.traceparentAt]! - start !== 55) return false;
  if (buf[start] !== 48 || buf[start + 1] !== 48) return false;
  for (const dash of [2, 35, 52]) if (buf[start + dash] !== 45) return false;
  return isId(buf, start + 3, start + 35) && isId(buf, start + 36, start + 52) && isHexRun(buf, start + 53, start + 55);
}

function isId(buf: Uint8Array, start: number, end: number): boolean {
  if (!isHexRun(buf, start, end)) return false;
  for (let i = start; i < end; i++) if (buf[i] !== 48) return true;
  return false;
}

function isHexRun(buf: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const octet = buf[i]!;
    if (HEX[octet]! < 0 || (octet >= 65 && octet <= 70)) return false;
  }
  return true;
}

/** A new trace that nobody has decided to sample. */
function writeTraceparent(to: Uint8Array, at: number): number {
  at = copyBytes(TRACEPARENT, 0, TRACEPARENT.length, to, at);
  at = writeRandomHex(4, to, at);
  to[at++] = 45;
  at = writeRandomHex(2, to, at);
  to[at++] = 45;
  to[at++] = 48;
  to[at++] = 48;
  return copyBytes(CRLF, 0, 2, to, at);
}

/** How the response's end is marked towards the client. */
export interface ResponseFraming {
  /** Content-Length is dropped: none is allowed here, or the body is chunked. */
  dropLength: boolean;
  chunked: boolean;
  close: boolean;
  /** The client speaks HTTP/1.0 and asked to keep the connection. */
  sayKeepAlive: boolean;
  webSocket: boolean;
  /** Further lines with their CRLFs, validated by whoever made them. */
  extra: Buffer | null;
}

export function writeResponseHead(
  head: Head,
  buf: Uint8Array,
  to: Uint8Array,
  start: number,
  framing: ResponseFraming,
): number {
  let at = copyBytes(STATUS_PREFIX, 0, STATUS_PREFIX.length, to, start);
  at = copyBytes(buf, head.start + 9, head.start + 12, to, at);
  to[at++] = 32;
  at = copyBytes(buf, head.reasonStart, head.reasonEnd, to, at);
  at = copyBytes(CRLF, 0, 2, to, at);
  // A 426 must say what to upgrade to, and `Connection` must name the field (RFC 9110 section 15.5.22 and 7.8).
  const asksUpgrade = head.status === UPGRADE_REQUIRED && head.upgradeAt !== -1;
  const index = (framing.dropLength ? 1 : 0) | (asksUpgrade ? 2 : 0);
  at = copyFields(head, buf, to, at, responseDrops[index] as Uint8Array);
  if (!head.hasDate) at = writeDate(to, at);
  at = copyBytes(VIA_11, 0, VIA_11.length, to, at);
  if (framing.extra !== null) at = copyBytes(framing.extra, 0, framing.extra.length, to, at);
  if (framing.chunked) at = copyBytes(CHUNKED, 0, CHUNKED.length, to, at);
  if (asksUpgrade) at = copyBytes(UPGRADE_OPTION, 0, UPGRADE_OPTION.length, to, at);
  if (framing.webSocket) at = copyBytes(UPGRADE, 0, UPGRADE.length, to, at);
  else if (framing.close) at = copyBytes(CLOSE, 0, CLOSE.length, to, at);
  else if (framing.sayKeepAlive) at = copyBytes(KEEP_ALIVE, 0, KEEP_ALIVE.length, to, at);
  return copyBytes(CRLF, 0, 2, to, at);
}

let dateSecond = -1;
let dateLine = ascii('');

/** The Date line of this second (RFC 9110 section 6.6.1). */
export function currentDate(): Buffer {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateLine = Buffer.concat([DATE, ascii(`${new Date(second * 1000).toUTCString()}\r\n`)]);
  }
  return dateLine;
}

function writeDate(to: Uint8Array, at: number): number {
  const line = currentDate();
  return copyBytes(line, 0, line.length, to, at);
}
