import type http2 from 'node:http2';
import { own, setOwn } from '../../lib/own.ts';
import type { Head } from '../http1/head.ts';

/** Fields that belong to an HTTP/1.1 connection and must not appear in HTTP/2 (RFC 9113 section 8.2.2). */
const CONNECTION_FIELDS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'host',
]);

/** HTTP/2 fields as HTTP/1.1 lines with CRLFs; pseudo fields and those of a connection are left out. */
export function linesOf(headers: http2.IncomingHttpHeaders): string {
  let text = '';
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || CONNECTION_FIELDS.has(name) || value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) text += `${name}: ${one}\r\n`;
  }
  return text;
}

/** The field lines of a parsed head as HTTP/2 fields, in lower case. */
export function fieldsOf(head: Head, buf: Buffer): http2.OutgoingHttpHeaders {
  const fields: http2.OutgoingHttpHeaders = {};
  for (let i = 0; i < head.count; i++) {
    const name = buf.toString('latin1', head.lineStart[i], head.nameEnd[i]).toLowerCase();
    add(fields, name, buf.toString('latin1', head.valueStart[i], head.valueEnd[i]));
  }
  return fields;
}

/** Trailer lines as HTTP/2 fields. */
export function trailerFieldsOf(octets: number[]): http2.OutgoingHttpHeaders {
  const fields: http2.OutgoingHttpHeaders = {};
  for (const line of Buffer.from(octets).toString('latin1').split('\r\n')) {
    const at = line.indexOf(':');
    if (at > 0) add(fields, line.slice(0, at).toLowerCase(), line.slice(at + 1).trim());
  }
  return fields;
}

function add(fields: http2.OutgoingHttpHeaders, name: string, value: string): void {
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
