/** Fields of HTTP/2 and lines of HTTP/1.1, each as the other. */
import type http2 from 'node:http2';
import { own, setOwn } from '../../lib/own.ts';
import { HTAB, SP } from '../http1/bytes.ts';
import type { Head } from '../http1/head.ts';

/**
 * Fields that belong to one HTTP/1.1 connection and must not appear in HTTP/2 (RFC 9113 section 8.2.2; HTTP2-Settings: RFC 7540 section
 * 3.2.1). `te` may say `trailers` there: whoever sends a request adds that by itself.
 */
const CONNECTION_FIELDS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'te',
  'host',
]);

/**
 * Fields for node:http2: by name, with a list where a name stands several times. Names come from outside, so it has no prototype. With
 * `strictSingleValueFields: false` node:http2 takes every one of them: what a field may hold is the business of those who read it.
 */
export type Fields = http2.OutgoingHttpHeaders;

/**
 * HTTP/2 fields as HTTP/1.1 lines with CRLFs; pseudo-fields and those of a connection are left out. `raw`: names and values in turn, as
 * they came. Pieces of `cookie` become one line (RFC 9113 section 8.2.3).
 */
export function linesOf(raw: readonly string[]): string {
  let text = '';
  let cookie = '';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (name.startsWith(':') || CONNECTION_FIELDS.has(name)) continue;
    if (name === 'cookie') cookie += cookie === '' ? raw[i + 1] : `; ${raw[i + 1]}`;
    else text += `${name}: ${raw[i + 1]}\r\n`;
  }
  return cookie === '' ? text : `${text}cookie: ${cookie}\r\n`;
}

/** The field lines of a parsed head as HTTP/2 fields, in lower case. */
export function fieldsOf(head: Head, buf: Buffer): Fields {
  const fields = noFields();
  for (let i = 0; i < head.count; i++) {
    const name = buf.toString('latin1', head.lineStart[i], head.nameEnd[i]);
    add(fields, name, buf.toString('latin1', head.valueStart[i], head.valueEnd[i]));
  }
  return fields;
}

/** Trailer lines, checked already, as HTTP/2 fields. */
export function trailerFieldsOf(octets: number[]): Fields {
  const fields = noFields();
  for (const line of Buffer.from(octets).toString('latin1').split('\r\n')) {
    const at = line.indexOf(':');
    if (at > 0) add(fields, line.slice(0, at), withoutBlanks(line, at + 1));
  }
  return fields;
}

function noFields(): Fields {
  return Object.create(null) as Fields;
}

/** The rest of a line without the blanks around it (OWS of RFC 9110 section 5.6.3; `trim` would take more than those). */
function withoutBlanks(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isBlank(octet: number): boolean {
  return octet === SP || octet === HTAB;
}

function add(fields: Fields, written: string, value: string): void {
  const name = written.toLowerCase();
  if (CONNECTION_FIELDS.has(name)) return;
  const present = own(fields, name);
  if (present === undefined) setOwn(fields, name, value);
  else if (Array.isArray(present)) present.push(value);
  else setOwn(fields, name, [String(present), value]);
}

/** One chunk of our own framing. */
export function chunkOf(data: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`, 'latin1'), data, Buffer.from('\r\n', 'latin1')]);
}
