/**
 * The HTTP/1.1 head parser: octets in, offsets out, one pass, no strings.
 *
 * Grammar (RFC 9112, with RFC 9110 for fields), taken strictly: whatever could be read in two ways is refused.
 *
 *   request-line = method SP request-target SP HTTP-version CRLF            section 3
 *   method       = 1*tchar
 *   target       = origin-form / absolute-form / authority-form / "*"      section 3.2; octets %x21-7E without "#"
 *   status-line  = HTTP-version SP 3DIGIT [ SP reason ] CRLF                section 4
 *   HTTP-version = "HTTP/1.0" / "HTTP/1.1"                                  section 2.3; another digit is 505
 *   field-line   = 1*tchar ":" OWS field-value OWS CRLF                     section 5
 *   field-value  = *( %x21-7E / %x80-FF / SP / HTAB )                       RFC 9110 section 5.5
 *   head         = start-line *field-line CRLF
 *
 * Refused, always: bare CR, bare LF, NUL and other control octets (section 2.2), white space before the first field
 * line or before a colon (2.2, 5.1), an empty name, obs-fold (5.2), more than one empty line before a request line (2.2),
 * Content-Length that is not 1*DIGIT or stands twice (6.3), Transfer-Encoding other than exactly `chunked`, twice, in
 * HTTP/1.0, or beside Content-Length (6.1, 6.3), no Host or several or a malformed one in HTTP/1.1 (3.2), too long or too many.
 *
 * A head that is not complete yet is parsed again from its first octet when more arrives, so the result cannot depend
 * on where the input was split; the cost of that is bounded by `limits.headBytes`.
 */
import { limits } from '../limits.ts';
import { ascii, CLASS, COLON, COMMA, CR, equalsNoCase, FIELD, HOST, HTAB, LF, SP, TARGET, TCHAR } from './bytes.ts';
import { H, identify, identifyMethod, M } from './names.ts';

/** Results of a parse: complete, more octets needed, or refused (`head.fault` says why). */
export const DONE = 1;
export const MORE = 0;
export const FAULT = -1;
export type ParseResult = 1 | 0 | -1;

/** Why a head was refused; the text goes into the answer's detail, the status is what a client gets. */
export interface Fault {
  status: number;
  detail: string;
  /** Well-formed, as far as it was read, and larger than the gateway takes. */
  beyondLimit: boolean;
}

const fault = (status: number, detail: string): Fault => ({ status, detail, beyondLimit: false });
const beyond = (status: number, detail: string): Fault => ({ status, detail, beyondLimit: true });

export const faults = {
  startLine: fault(400, 'malformed start line'),
  version: fault(505, 'HTTP version not supported'),
  target: fault(400, 'malformed request target'),
  targetTooLong: beyond(414, `request target longer than ${limits.targetBytes} bytes`),
  methodTooLong: beyond(501, `method longer than ${limits.methodBytes} bytes`),
  headTooLong: beyond(431, `head longer than ${limits.headBytes} bytes`),
  tooManyHeaders: beyond(431, `more than ${limits.headerCount} header lines`),
  control: fault(400, 'control octet, bare CR or bare LF in the head'),
  fold: fault(400, 'folded header line or white space before a header name'),
  name: fault(400, 'malformed header name'),
  contentLength: fault(400, 'malformed or repeated Content-Length'),
  transferEncoding: fault(400, 'malformed, repeated or misplaced Transfer-Encoding'),
  coding: fault(501, 'transfer coding other than chunked'),
  bothLengths: fault(400, 'Content-Length beside Transfer-Encoding'),
  host: fault(400, 'missing, repeated or malformed Host'),
  connect: fault(501, 'CONNECT is refused here'),
  lastHop: fault(501, 'Max-Forwards is 0, and the gateway itself answers neither OPTIONS nor TRACE'),
  expect: fault(417, 'Expect other than 100-continue'),
} as const;

const CHUNKED = ascii('chunked');
const CLOSE = ascii('close');
const KEEP_ALIVE = ascii('keep-alive');
const UPGRADE = ascii('upgrade');
const CONTINUE = ascii('100-continue');

/** What forwarding may add to a head. */
const SLACK_FIELDS = 16;
const SLACK_BYTES = 4096;

/** A parsed head: offsets into the buffer that was parsed. One object serves a whole process; read it before the next parse. */
export class Head {
  /**
   * The octets are the gateway's own translation of an HTTP/2 message: Content-Length beside `chunked` is the length that the message
   * declares, which node:http2 holds it to, and the chunks leave room for its trailers. From a connection they are two ways to read one body.
   */
  translated: boolean;
  /** Bounds of this head. What the gateway itself wrote may be a little larger than what it takes from outside. */
  readonly maxFields: number;
  readonly maxBytes: number;
  /** Index after the empty line. */
  end = 0;
  start = 0;
  fault: Fault = faults.startLine;
  /** 0 or 1: the minor version. */
  minor = 1;
  method = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  status = 0;
  reasonStart = 0;
  reasonEnd = 0;
  /** First octet of the first field line. */
  fieldsStart = 0;
  count = 0;
  /** Per field line: id, line start, name end, value start, value end (trimmed). The line ends where the next begins. */
  readonly id = new Uint8Array(limits.headerCount + SLACK_FIELDS);
  readonly lineStart = new Int32Array(limits.headerCount + SLACK_FIELDS + 1);
  readonly nameEnd = new Int32Array(limits.headerCount + SLACK_FIELDS);
  readonly valueStart = new Int32Array(limits.headerCount + SLACK_FIELDS);
  readonly valueEnd = new Int32Array(limits.headerCount + SLACK_FIELDS);
  /** -1: absent. */
  contentLength = -1;
  chunked = false;
  hasTransferEncoding = false;
  /** Options of the Connection header. */
  close = false;
  keepAlive = false;
  upgradeOption = false;
  /** Connection nominates further fields (rare): they are dropped one by one. */
  nominates = false;
  /** Index of the line, or -1. */
  hostAt = -1;
  upgradeAt = -1;
  traceparentAt = -1;
  keepAliveAt = -1;
  retryAfterAt = -1;
  forwardedForAt = -1;
  cookieAt = -1;
  /** The caller's name; -2: more than one. */
  callerAt = -1;
  maxForwardsAt = -1;
  expectContinue = false;
  idempotencyKey = false;
  hasDate = false;
  /** Host and Expect mean nothing in a response. */
  response = false;
  /** The target came in absolute-form: its authority replaces Host (RFC 9112 section 3.2.2). */
  absolute = false;
  authorityStart = 0;
  authorityEnd = 0;
  pathStart = 0;

  /** `written`: by the gateway itself, to or from the translation of an HTTP/2 stream. */
  constructor(options: { written?: boolean } = {}) {
    this.translated = options.written ?? false;
    this.maxFields = limits.headerCount + (options.written ? SLACK_FIELDS : 0);
    this.maxBytes = limits.headBytes + (options.written ? SLACK_BYTES : 0);
  }

  reset(start: number): void {
    this.start = start;
    this.count = 0;
    this.contentLength = -1;
    this.chunked = this.hasTransferEncoding = this.close = this.keepAlive = this.upgradeOption = this.nominates = false;
    this.hostAt = this.upgradeAt = this.traceparentAt = this.keepAliveAt = this.retryAfterAt = -1;
    this.forwardedForAt = this.cookieAt = this.callerAt = this.maxForwardsAt = -1;
    this.response = false;
    this.expectContinue = this.idempotencyKey = this.hasDate = this.absolute = false;
  }
}

function refuse(head: Head, why: Fault): ParseResult {
  head.fault = why;
  return FAULT;
}

/** Parses a request head that begins at `start`; at most one empty line before it is skipped (RFC 9112 section 2.2). */
export function parseRequestHead(head: Head, buf: Uint8Array, start: number, end: number): ParseResult {
  let at = start;
  if (at < end && buf[at] === CR) {
    if (at + 1 === end) return MORE;
    if (buf[at + 1] !== LF) return refuse(head, faults.control);
    at += 2;
  }
  head.reset(at);
  const line = parseRequestLine(head, buf, at, end);
  if (line !== DONE) return line === MORE && end - at > head.maxBytes ? refuse(head, faults.headTooLong) : line;
  const fields = parseFields(head, buf, head.fieldsStart, end);
  if (fields !== DONE) return fields;
  return checkRequest(head, buf);
}

function parseRequestLine(head: Head, buf: Uint8Array, start: number, end: number): ParseResult {
  let at = start;
  while (at < end && (CLASS[buf[at]!]! & TCHAR) !== 0) at++;
  if (at - start > limits.methodBytes) return refuse(head, faults.methodTooLong);
  if (at === end) return MORE;
  if (at === start || buf[at] !== SP) return refuse(head, faults.startLine);
  head.methodEnd = at;
  head.method = identifyMethod(buf, start, at);
  head.targetStart = ++at;
  while (at < end && (CLASS[buf[at]!]! & TARGET) !== 0) at++;
  if (at - head.targetStart > limits.targetBytes) return refuse(head, faults.targetTooLong);
  if (at === end) return MORE;
  if (at === head.targetStart || buf[at] !== SP) return refuse(head, faults.startLine);
  head.targetEnd = at++;
  const version = parseVersion(head, buf, at, end);
  if (version !== DONE) return version;
  at += 8;
  if (at === end) return MORE;
  if (buf[at] !== CR) return refuse(head, faults.startLine);
  if (at + 1 === end) return MORE;
  if (buf[at + 1] !== LF) return refuse(head, faults.control);
  head.fieldsStart = at + 2;
  return checkTarget(head, buf, start);
}

const HTTP = ascii('HTTP/');

function parseVersion(head: Head, buf: Uint8Array, at: number, end: number): ParseResult {
  for (let i = 0; i < 5; i++) {
    if (at + i === end) return MORE;
    if (buf[at + i] !== HTTP[i]) return refuse(head, faults.startLine);
  }
  if (at + 8 > end) {
    for (let i = at + 5; i < end; i++) {
      if (i === at + 6 ? buf[i] !== 46 : !isDigit(buf[i]!)) return refuse(head, faults.startLine);
    }
    return MORE;
  }
  const major = buf[at + 5]!;
  const minor = buf[at + 7]!;
  if (!isDigit(major) || buf[at + 6] !== 46 || !isDigit(minor)) return refuse(head, faults.startLine);
  if (major !== 49 || minor > 49) return refuse(head, faults.version);
  head.minor = minor - 48;
  return DONE;
}

function isDigit(octet: number): boolean {
  return octet >= 48 && octet <= 57;
}

/** RFC 9112 section 3.2: which form the target has, and where its authority and path lie. */
function checkTarget(head: Head, buf: Uint8Array, methodStart: number): ParseResult {
  const { targetStart, targetEnd } = head;
  head.pathStart = targetStart;
  const first = buf[targetStart]!;
  if (head.method === M.connect) {
    const ok = isAuthority(buf, targetStart, targetEnd, true);
    return ok ? DONE : refuse(head, faults.target);
  }
  if (first === 47) return DONE;
  if (first === 42 && targetEnd - targetStart === 1) {
    return head.method === M.options && head.methodEnd - methodStart === 7 ? DONE : refuse(head, faults.target);
  }
  const schemeEnd = matchScheme(buf, targetStart, targetEnd);
  if (schemeEnd < 0) return refuse(head, faults.target);
  let authorityEnd = schemeEnd;
  while (authorityEnd < targetEnd && buf[authorityEnd] !== 47 && buf[authorityEnd] !== 63) authorityEnd++;
  if (!isAuthority(buf, schemeEnd, authorityEnd, false)) return refuse(head, faults.target);
  head.absolute = true;
  head.authorityStart = schemeEnd;
  head.authorityEnd = authorityEnd;
  head.pathStart = authorityEnd;
  return DONE;
}

const SCHEMES = [ascii('http://'), ascii('https://')];

function matchScheme(buf: Uint8Array, start: number, end: number): number {
  for (const scheme of SCHEMES) {
    if (end - start > scheme.length && equalsNoCase(buf, start, start + scheme.length, scheme))
      return start + scheme.length;
  }
  return -1;
}

/** uri-host [":" port], without userinfo (RFC 9110 section 4.2.4 forbids it). */
function isAuthority(buf: Uint8Array, start: number, end: number, portRequired: boolean): boolean {
  if (start === end) return false;
  let at = start;
  if (buf[at] === 91) {
    while (at < end && buf[at] !== 93) {
      const octet = buf[at]!;
      if (at > start && octet !== COLON && octet !== 46 && !isHex(octet)) return false;
      at++;
    }
    if (at === end || at - start < 3) return false;
    at++;
  } else {
    while (at < end && buf[at] !== COLON) {
      const octet = buf[at]!;
      if ((CLASS[octet]! & HOST) === 0 || octet === 91 || octet === 93) return false;
      if (octet === 37 && !(at + 2 < end && isHex(buf[at + 1]!) && isHex(buf[at + 2]!))) return false;
      at++;
    }
    if (at === start) return false;
  }
  if (at === end) return !portRequired;
  if (buf[at] !== COLON || end - at > 6 || (portRequired && end - at === 1)) return false;
  let port = 0;
  for (at++; at < end; at++) {
    if (!isDigit(buf[at]!)) return false;
    port = port * 10 + buf[at]! - 48;
  }
  return port <= 65535;
}

function isHex(octet: number): boolean {
  return isDigit(octet) || ((octet | 32) >= 97 && (octet | 32) <= 102);
}

/** Parses a response head. Faults are the upstream's: the caller answers 502. */
export function parseResponseHead(head: Head, buf: Uint8Array, start: number, end: number): ParseResult {
  head.reset(start);
  head.response = true;
  const version = parseVersion(head, buf, start, end);
  if (version !== DONE) return version;
  let at = start + 8;
  if (at === end) return MORE;
  if (buf[at] !== SP) return refuse(head, faults.startLine);
  let status = 0;
  for (let i = 1; i <= 3; i++) {
    if (at + i === end) return MORE;
    if (!isDigit(buf[at + i]!)) return refuse(head, faults.startLine);
    status = status * 10 + buf[at + i]! - 48;
  }
  if (status < 100 || status > 599) return refuse(head, faults.startLine);
  head.status = status;
  at += 4;
  if (at === end) return MORE;
  if (buf[at] !== SP && buf[at] !== CR) return refuse(head, faults.startLine);
  head.reasonStart = buf[at] === SP ? at + 1 : at;
  at = head.reasonStart;
  while (at < end && (CLASS[buf[at]!]! & FIELD) !== 0) at++;
  if (at - start > limits.headBytes) return refuse(head, faults.headTooLong);
  if (at === end) return MORE;
  if (buf[at] !== CR) return refuse(head, faults.control);
  if (at + 1 === end) return MORE;
  if (buf[at + 1] !== LF) return refuse(head, faults.control);
  head.reasonEnd = at;
  head.fieldsStart = at + 2;
  const fields = parseFields(head, buf, head.fieldsStart, end);
  if (fields !== DONE) return fields;
  if (head.hasTransferEncoding && head.contentLength >= 0 && !head.translated) return refuse(head, faults.bothLengths);
  if (head.hasTransferEncoding && head.minor === 0) return refuse(head, faults.transferEncoding);
  return DONE;
}

function parseFields(head: Head, buf: Uint8Array, start: number, end: number): ParseResult {
  let at = start;
  // A request line's own length counts too: the bound holds for the whole head.
  const bound = Math.min(end, head.start + head.maxBytes);
  for (;;) {
    if (at >= bound) return endOfInput(head, end);
    if (buf[at] === CR) {
      if (at + 1 >= end) return MORE;
      if (buf[at + 1] !== LF) return refuse(head, faults.control);
      head.lineStart[head.count] = at;
      head.end = at + 2;
      return DONE;
    }
    if (head.count === head.maxFields) return refuse(head, faults.tooManyHeaders);
    const lineStart = at;
    while (at < bound && (CLASS[buf[at]!]! & TCHAR) !== 0) at++;
    if (at >= bound) return endOfInput(head, end);
    const octet = buf[at]!;
    if (octet !== COLON || at === lineStart) return refuse(head, nameFault(octet, at === lineStart));
    const nameEnd = at++;
    while (at < bound && (buf[at] === SP || buf[at] === HTAB)) at++;
    const valueStart = at;
    while (at < bound && (CLASS[buf[at]!]! & FIELD) !== 0) at++;
    if (at >= bound) return endOfInput(head, end);
    if (buf[at] !== CR) return refuse(head, faults.control);
    if (at + 1 >= end) return MORE;
    if (buf[at + 1] !== LF) return refuse(head, faults.control);
    let valueEnd = at;
    while (valueEnd > valueStart && (buf[valueEnd - 1] === SP || buf[valueEnd - 1] === HTAB)) valueEnd--;
    const result = addField(head, buf, lineStart, nameEnd, valueStart, valueEnd);
    if (result !== DONE) return result;
    at += 2;
  }
}

function endOfInput(head: Head, end: number): ParseResult {
  return end - head.start >= head.maxBytes ? refuse(head, faults.headTooLong) : MORE;
}

function nameFault(octet: number, atLineStart: boolean): Fault {
  if (octet === SP || octet === HTAB) return atLineStart ? faults.fold : faults.name;
  return octet < 32 || octet === 127 ? faults.control : faults.name;
}

function addField(head: Head, buf: Uint8Array, line: number, nameEnd: number, from: number, to: number): ParseResult {
  const index = head.count++;
  const id = identify(buf, line, nameEnd);
  head.id[index] = id;
  head.lineStart[index] = line;
  head.nameEnd[index] = nameEnd;
  head.valueStart[index] = from;
  head.valueEnd[index] = to;
  return id === H.other ? DONE : noteField(head, buf, id, index, from, to);
}

function noteField(head: Head, buf: Uint8Array, id: number, index: number, from: number, to: number): ParseResult {
  switch (id) {
    case H.host:
      if (head.response) return DONE;
      if (head.hostAt >= 0) return refuse(head, faults.host);
      head.hostAt = index;
      return DONE;
    case H.contentLength: {
      if (head.contentLength >= 0) return refuse(head, faults.contentLength);
      const length = parseLength(buf, from, to);
      if (length < 0) return refuse(head, faults.contentLength);
      head.contentLength = length;
      return DONE;
    }
    case H.transferEncoding:
      if (head.hasTransferEncoding) return refuse(head, faults.transferEncoding);
      head.hasTransferEncoding = true;
      head.chunked = equalsNoCase(buf, from, to, CHUNKED);
      if (head.chunked) return DONE;
      return refuse(head, endsInChunked(buf, from, to) ? faults.coding : faults.transferEncoding);
    case H.connection:
      noteConnection(head, buf, from, to);
      return DONE;
    case H.upgrade:
      head.upgradeAt = head.upgradeAt === -1 ? index : -2;
      return DONE;
    case H.keepAlive:
      head.keepAliveAt = index;
      return DONE;
    case H.traceparent:
      head.traceparentAt = head.traceparentAt === -1 ? index : -2;
      return DONE;
    case H.retryAfter:
      head.retryAfterAt = index;
      return DONE;
    case H.forwardedFor:
      head.forwardedForAt = index;
      return DONE;
    case H.cookie:
      head.cookieAt = index;
      return DONE;
    case H.caller:
      head.callerAt = head.callerAt === -1 ? index : -2;
      return DONE;
    case H.expect:
      if (head.response) return DONE;
      if (!equalsNoCase(buf, from, to, CONTINUE)) return refuse(head, faults.expect);
      head.expectContinue = true;
      return DONE;
    case H.idempotencyKey:
      head.idempotencyKey = to > from;
      return DONE;
    case H.maxForwards:
      head.maxForwardsAt = head.maxForwardsAt === -1 ? index : -2;
      return DONE;
    case H.date:
      head.hasDate = true;
      return DONE;
    default:
      return DONE;
  }
}

/** 1*DIGIT up to 15 digits (below 2^53); no sign, no list, no white space inside (RFC 9112 section 6.3). */
function parseLength(buf: Uint8Array, from: number, to: number): number {
  if (from === to || to - from > 15) return -1;
  let length = 0;
  for (let i = from; i < to; i++) {
    if (!isDigit(buf[i]!)) return -1;
    length = length * 10 + buf[i]! - 48;
  }
  return length;
}

/** Whether the last list element is `chunked`: then only the coding before it is unknown (501), else the framing is lost (400). */
function endsInChunked(buf: Uint8Array, from: number, to: number): boolean {
  const tail = to - CHUNKED.length;
  if (tail <= from || !equalsNoCase(buf, tail, to, CHUNKED)) return false;
  let at = tail - 1;
  while (at >= from && (buf[at] === SP || buf[at] === HTAB)) at--;
  return at > from && buf[at] === COMMA && (CLASS[buf[at - 1]!]! & TCHAR) !== 0;
}

function noteConnection(head: Head, buf: Uint8Array, from: number, to: number): void {
  for (let at = from; at < to; ) {
    while (at < to && (buf[at] === COMMA || buf[at] === SP || buf[at] === HTAB)) at++;
    const start = at;
    while (at < to && buf[at] !== COMMA) at++;
    let end = at;
    while (end > start && (buf[end - 1] === SP || buf[end - 1] === HTAB)) end--;
    if (end === start) continue;
    if (equalsNoCase(buf, start, end, CLOSE)) head.close = true;
    else if (equalsNoCase(buf, start, end, KEEP_ALIVE)) head.keepAlive = true;
    else if (equalsNoCase(buf, start, end, UPGRADE)) head.upgradeOption = true;
    else head.nominates = true;
  }
}

/** Whether a Connection line of this head nominates the field `index` (RFC 9110 section 7.6.1). */
export function isNominated(head: Head, buf: Uint8Array, index: number): boolean {
  const start = head.lineStart[index]!;
  const length = head.nameEnd[index]! - start;
  for (let line = 0; line < head.count; line++) {
    if (head.id[line] !== H.connection) continue;
    const to = head.valueEnd[line]!;
    for (let at = head.valueStart[line]!; at < to; ) {
      while (at < to && (buf[at] === COMMA || buf[at] === SP || buf[at] === HTAB)) at++;
      const token = at;
      while (at < to && buf[at] !== COMMA && buf[at] !== SP && buf[at] !== HTAB) at++;
      if (at - token === length && sameNoCase(buf, token, start, length)) return true;
    }
  }
  return false;
}

function sameNoCase(buf: Uint8Array, left: number, right: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    let a = buf[left + i]!;
    let b = buf[right + i]!;
    if (a >= 65 && a <= 90) a |= 32;
    if (b >= 65 && b <= 90) b |= 32;
    if (a !== b) return false;
  }
  return true;
}

/** What holds across fields, once the head is complete. */
function checkRequest(head: Head, buf: Uint8Array): ParseResult {
  if (head.hostAt < 0) {
    if (head.minor === 1) return refuse(head, faults.host);
  } else if (!isAuthority(buf, head.valueStart[head.hostAt]!, head.valueEnd[head.hostAt]!, false)) {
    return refuse(head, faults.host);
  }
  if (head.hasTransferEncoding) {
    if (head.minor === 0) return refuse(head, faults.transferEncoding);
    if (head.contentLength >= 0 && !head.translated) return refuse(head, faults.bothLengths);
  }
  return DONE;
}

/**
 * How often an OPTIONS or TRACE request may still be forwarded (RFC 9110 section 7.6.2); -1 when it does not say, or not as 1*9DIGIT, or has
 * another method: then the field is forwarded as it is.
 */
export function forwardsLeft(head: Head, buf: Uint8Array): number {
  if (head.maxForwardsAt < 0 || (head.method !== M.options && head.method !== M.trace)) return -1;
  const from = head.valueStart[head.maxForwardsAt]!;
  const to = head.valueEnd[head.maxForwardsAt]!;
  return to - from > 9 ? -1 : parseLength(buf, from, to);
}

/** Whether the request asks, on purpose and unambiguously, for a WebSocket (RFC 6455 section 4.1). */
export function asksForWebSocket(head: Head, buf: Uint8Array): boolean {
  if (head.method !== M.get || head.minor !== 1 || !head.upgradeOption || head.upgradeAt < 0) return false;
  if (head.contentLength > 0 || head.chunked) return false;
  return equalsNoCase(buf, head.valueStart[head.upgradeAt]!, head.valueEnd[head.upgradeAt]!, WEBSOCKET);
}

const WEBSOCKET = ascii('websocket');
