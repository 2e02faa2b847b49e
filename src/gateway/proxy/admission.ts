import { faults, forwardsLeft, type Head } from '../http1/head.ts';
import { M } from '../http1/names.ts';
import type { Route } from '../route/route.ts';
import { F } from '../stats/flags.ts';
import type { OwnAnswer } from './answer.ts';
import { limitAnswer } from './rate-limit.ts';

/** HTTP/1.1 cannot carry a gRPC call (its protocol asks for HTTP/2), and a client's word does not change what an instance speaks. */
const NO_GRPC = 'the instances of this service speak HTTP/1.1; gRPC calls need `protocol: grpc` or `h2c`';

/** An answer instead of a try. */
export interface Refusal {
  answer: OwnAnswer;
  flag: number;
}

/** What a refusal depends on besides the head. */
export interface AdmissionContext {
  /** The request is a gRPC call. */
  grpc: boolean;
  /** The answer ends the connection, because the client wants it or a body would follow that nobody reads. */
  close: boolean;
}

/** Why a request is refused before anything is spent on it. Null when it is not: it has its place among the requests in progress then, if they are limited. */
export function refusalOf(
  head: Head,
  buf: Buffer,
  route: Route,
  nowMs: number,
  { grpc, close }: AdmissionContext,
): Refusal | null {
  const { state, config } = route;
  const headOnly = head.method === M.head;
  if (head.method === M.connect) {
    const { status, detail } = faults.connect;
    return { flag: F.clientProtocol, answer: { status, cause: 'bad-request', detail, headOnly: false, close: true } };
  }
  if (forwardsLeft(head, buf) === 0) {
    const { status, detail } = faults.lastHop;
    return { flag: F.clientProtocol, answer: { status, cause: 'bad-request', detail, headOnly, close } };
  }
  if (grpc && !route.overHttp2) {
    const answer = { status: 415, cause: 'bad-request' as const, detail: NO_GRPC, headOnly, close };
    return { flag: F.clientProtocol, answer };
  }
  const limited = limitRefusal(route, nowMs, headOnly, close);
  if (limited !== null) return limited;
  const { requests } = state.limits;
  if (requests !== null && !requests.take(nowMs)) {
    return shed(`more than ${config.caps?.maxRequests} requests in progress`, 1, headOnly, close);
  }
  if (config.breaker != null && !state.breaker.admits(nowMs)) {
    requests?.give();
    const seconds = state.breaker.secondsToProbe(nowMs);
    return shed('the route is open after failures in a row', seconds, headOnly, close);
  }
  return null;
}

/** What the rate limiter says; it takes a token, and in shadow mode only counts. */
export function limitRefusal(
  { state, config }: Route,
  nowMs: number,
  headOnly: boolean,
  close: boolean,
): Refusal | null {
  const { limiter } = state.limits;
  if (limiter === null || limiter.take(nowMs)) return null;
  if (config.rateLimitMode !== 'shadow') {
    return { flag: F.rateLimited, answer: limitAnswer(limiter.view(nowMs), headOnly, close) };
  }
  state.shadowLimited++;
  return null;
}

function shed(detail: string, retryAfterS: number, headOnly: boolean, close: boolean): Refusal {
  const extra = `Retry-After: ${retryAfterS}\r\n`;
  return { flag: F.overflow, answer: { status: 503, cause: 'breaker', detail, headOnly, close, extra } };
}

/** Books a refusal among the gateway's own answers. */
export function countRefusal(route: Route, { answer }: Refusal): void {
  const { own } = route.state;
  if (answer.cause === 'limiter') own.limiter++;
  else if (answer.cause === 'breaker') own.breaker++;
  else own.badRequest++;
}
