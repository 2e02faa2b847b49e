import { ascii, equalsNoCase } from '../http1/bytes.ts';
import type { Head } from '../http1/head.ts';
import { findOnly } from '../route/match.ts';

const GRPC_STATUS = ascii('grpc-status');
const GRPC_TIMEOUT = ascii('grpc-timeout');
/** By unit of `grpc-timeout`. */
const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1_000],
  ['m', 1],
  ['u', 1e-3],
  ['n', 1e-6],
]);

/**
 * What an HTTP status of the gateway's own is to a gRPC client
 * (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md): what a client would make of it by itself; 415 and 501, which
 * the list leaves out, are UNIMPLEMENTED.
 */
const GRPC_OF: ReadonlyMap<number, number> = new Map([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [415, 12],
  [429, 14],
  [501, 12],
  [502, 14],
  [503, 14],
  [504, 14],
]);
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const HIGHEST = 16;

export function grpcStatusOf(httpStatus: number): number {
  return GRPC_OF.get(httpStatus) ?? UNKNOWN;
}

/** Trailers that end a call which the server had begun to answer: it may be tried again (UNAVAILABLE). */
export const callUnavailable = ascii('grpc-status: 14\r\ngrpc-message: the version gets no more traffic\r\n');

/** The gRPC status of an answer of the gateway's own. */
export function ownGrpcStatus({ status, cause }: { status: number; cause: string }): number {
  return cause === 'deadline' ? DEADLINE_EXCEEDED : grpcStatusOf(status);
}

/** `grpc-status` as a number; one that no list has is UNKNOWN, as it is to clients. */
export function statusNumber(text: string): number {
  return /^\d{1,2}$/.test(text) && Number(text) <= HIGHEST ? Number(text) : UNKNOWN;
}

/**
 * The time that a call gives itself, ms; null when there is none that is understood (PROTOCOL-HTTP2: 1 to 8 digits and a unit). A malformed one is
 * the server's to refuse.
 */
export function grpcTimeoutMs(head: Head, buf: Buffer): number | null {
  const at = findOnly(head, buf, GRPC_TIMEOUT);
  if (at < 0) return null;
  const match = /^(\d{1,8})([HMSmun])$/.exec(buf.toString('latin1', head.valueStart[at], head.valueEnd[at]));
  return match === null ? null : Number(match[1]) * (UNIT_MS.get(match[2] as string) as number);
}

/** `grpc-status` of an answer without messages. */
export function statusInHead(head: Head, buf: Buffer): string | undefined {
  for (let i = 0; i < head.count; i++) {
    if (equalsNoCase(buf, head.lineStart[i]!, head.nameEnd[i]!, GRPC_STATUS))
      return buf.toString('latin1', head.valueStart[i], head.valueEnd[i]);
  }
  return undefined;
}

export function statusInTrailers(octets: number[]): string | undefined {
  return /(?:^|\r\n)grpc-status:[ \t]*(\d+)[ \t]*\r\n/i.exec(Buffer.from(octets).toString('latin1'))?.[1];
}
