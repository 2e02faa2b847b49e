import { ascii, equalsNoCase, HTAB, SP } from './bytes.ts';
import type { Head } from './head.ts';

const CONTENT_TYPE = ascii('content-type');
const EVENT_STREAM = ascii('text/event-stream');
const SEMICOLON = 59;

/** Whether the content is a stream of server-sent events (https://html.spec.whatwg.org, section 9.2): an answer that goes on as long as both sides like. */
export function isEventStream(head: Head, buf: Buffer): boolean {
  for (let i = 0; i < head.count; i++) {
    if (!equalsNoCase(buf, head.lineStart[i]!, head.nameEnd[i]!, CONTENT_TYPE)) continue;
    return isType(buf, head.valueStart[i]!, head.valueEnd[i]!, EVENT_STREAM);
  }
  return false;
}

/** Compares the type of a media type, its parameters left aside (RFC 9110 section 8.3.1). */
function isType(buf: Buffer, start: number, end: number, type: Buffer): boolean {
  const after = start + type.length;
  if (after > end || !equalsNoCase(buf, start, after, type)) return false;
  return after === end || buf[after] === SEMICOLON || buf[after] === SP || buf[after] === HTAB;
}
