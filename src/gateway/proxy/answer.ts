import { ascii } from '../http1/bytes.ts';
import { currentDate } from '../http1/forward.ts';
import { ownGrpcStatus } from '../http2/grpc.ts';

/** Why the gateway answered itself; the value of `x-davy-cause`. */
export type Cause =
  | 'limiter'
  | 'breaker'
  | 'injected'
  | 'no-upstream'
  | 'bad-request'
  | 'upstream-timeout'
  | 'upstream-reset'
  | 'connect-failure'
  | 'upstream-protocol'
  | 'answer-limit'
  | 'connection-closed'
  | 'exhausted'
  | 'stream-idle'
  | 'deadline'
  | 'withdrawn'
  | 'draining'
  | 'tunnel-denied'
  | 'tunnel-limit'
  | 'tunnel-unreachable'
  | 'tunnel-timeout';

const REASONS: Record<number, string> = {
  400: 'Bad Request',
  403: 'Forbidden',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  417: 'Expectation Failed',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

function reasonOf(status: number): string {
  return REASONS[status] ?? 'Status';
}

export interface OwnAnswer {
  status: number;
  cause: Cause;
  /** Fixed text of ours or validated; never octets of the request. */
  detail: string;
  close: boolean;
  /** The request was HEAD: no body. */
  headOnly: boolean;
  /** The request is a gRPC call. */
  grpc?: boolean;
  /** Further lines with their CRLFs. */
  extra?: string;
  /** Problem type (RFC 9457), `about:blank` if absent. */
  type?: string;
}

/**
 * An answer of the gateway's own, labelled with its cause: problem details (RFC 9457), or a gRPC answer to a call over HTTP/2. Whoever says
 * `application/grpc` over HTTP/1.1 speaks no gRPC. `overHttp2`: the client speaks HTTP/2.
 */
export function renderAnswer(answer: OwnAnswer, overHttp2: boolean): Buffer {
  const { status, cause, detail } = answer;
  if (overHttp2 && answer.grpc === true) return renderGrpcAnswer(answer);
  const title = reasonOf(status);
  const body = JSON.stringify({ type: answer.type ?? 'about:blank', title, status, detail, cause });
  const head =
    `HTTP/1.1 ${status} ${title}\r\n` +
    `Content-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
    `Cache-Control: no-store\r\n${commonLines(answer)}`;
  return ascii(answer.headOnly ? head : head + body);
}

function commonLines({ cause, extra = '', close }: OwnAnswer): string {
  const date = currentDate().toString('latin1');
  return `${date}Via: 1.1 davy\r\nx-davy-cause: ${cause}\r\n${extra}${close ? 'Connection: close\r\n' : ''}\r\n`;
}

/**
 * gRPC's "Trailers-Only" answer: HTTP status 200 whatever happened, no content, status and words in the head
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, Responses). Clients that get another HTTP status show no words.
 */
function renderGrpcAnswer(answer: OwnAnswer): Buffer {
  return ascii(
    'HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n' +
      `grpc-status: ${ownGrpcStatus(answer)}\r\ngrpc-message: ${percentEncoded(answer.detail)}\r\n` +
      commonLines(answer),
  );
}

/** `grpc-message`: what is not visible ASCII or a blank, and `%` itself, is percent-encoded UTF-8. */
function percentEncoded(text: string): string {
  return text.replace(/[^ -$&-~]+/g, (piece) => encodeURIComponent(piece));
}
