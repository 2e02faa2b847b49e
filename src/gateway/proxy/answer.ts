import { ascii } from '../http1/bytes.ts';
import { currentDate } from '../http1/forward.ts';

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
  /** Further lines with their CRLFs. */
  extra?: string;
  /** Problem type (RFC 9457), `about:blank` if absent. */
  type?: string;
}

/** An answer of the gateway's own, as problem details (RFC 9457), labelled with its cause. */
export function renderAnswer(answer: OwnAnswer): Buffer {
  const { status, cause, detail } = answer;
  const title = reasonOf(status);
  const body = JSON.stringify({ type: answer.type ?? 'about:blank', title, status, detail, cause });
  const head =
    `HTTP/1.1 ${status} ${title}\r\n` +
    `Content-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
    `${currentDate().toString('latin1')}Via: 1.1 davy\r\nx-davy-cause: ${cause}\r\nCache-Control: no-store\r\n` +
    `${answer.extra ?? ''}${answer.close ? 'Connection: close\r\n' : ''}\r\n`;
  return ascii(answer.headOnly ? head : head + body);
}

/** What the client is told when the last try failed. */
export function detailOf(cause: Cause): string {
  if (cause === 'upstream-timeout') return 'the instance did not answer in time';
  if (cause === 'connect-failure') return 'the instance could not be reached';
  return 'the instance closed the connection before its answer was complete';
}
