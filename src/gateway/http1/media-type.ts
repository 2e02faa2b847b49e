import { ascii, equalsNoCase, HTAB, SP } from './bytes.ts';
import type { Head } from './head.ts';

const CONTENT_TYPE = ascii('content-type');
const EVENT_STREAM = ascii('text/event-stream');
const GRPC = ascii('application/grpc');
const SEMICOLON = 59;
const PLUS = 43;

/** Whether the content is a stream of server-sent events (https://html.spec.whatwg.org, section 9.2): an answer that goes on as long as both sides like. */
export function isEventStream(head: Head, buf: Buffer): boolean {
  return hasType(head, buf, EVENT_STREAM, false);
}

/**
 * Whether the request is a gRPC call: `application/grpc`, also with the name of a codec (PROTOCOL-HTTP2, Requests: `"application/grpc"
 * [("+proto" / "+json" / {custom})]`). `application/grpc-web` is another protocol, of HTTP/1.1 too, and another type.
 */
export function isGrpc(head: Head, buf: Buffer): boolean {
  return hasType(head, buf, GRPC, true);
}

/** Compares the content's type, its parameters left aside (RFC 9110 section 8.3.1). `suffixed`: a `+` may follow. */
function hasType(head: Head, buf: Buffer, type: Buffer, suffixed: boolean): boolean {
  for (let i = 0; i < head.count; i++) {
    if (!equalsNoCase(buf, head.lineStart[i]!, head.nameEnd[i]!, CONTENT_TYPE)) continue;
    const start = head.valueStart[i]!;
    const end = head.valueEnd[i]!;
    const after = start + type.length;
    if (after > end || !equalsNoCase(buf, start, after, type)) return false;
    return after === end || endsType(buf[after]!) || (suffixed && buf[after] === PLUS);
  }
  return false;
}

function endsType(octet: number): boolean {
  return octet === SEMICOLON || octet === SP || octet === HTAB;
}
