/**
 * The gRPC health checking protocol, `grpc.health.v1.Health/Check`
 * (https://github.com/grpc/grpc/blob/master/doc/health-checking.md), over cleartext HTTP/2
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
 */

import { clip } from '../lib/outside-text/visible.ts';
import { callOnce, type H2Answer } from './h2c.ts';
import type { ProbeResult, ProbeTarget } from './probe.ts';
import { failed } from './words.ts';

const PATH = '/grpc.health.v1.Health/Check';
/** `HealthCheckResponse.ServingStatus`, by number. */
const SERVING_STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
/** `grpc-status`, by number (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md). */
const CODES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];
const MAX_MESSAGE_CHARACTERS = 100;
const PREFIX_BYTES = 5;

/** `service`: a full name such as `shop.Orders`, at most 127 visible ASCII characters; '' is the server as a whole. */
export async function askGrpc(target: ProbeTarget, service: string, signal: AbortSignal): Promise<ProbeResult> {
  const fields = {
    ':method': 'POST',
    ':path': PATH,
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': `${Math.ceil(target.timeoutMs)}m`,
  };
  const answer = await callOnce(target, fields, framed(requestFor(service)), signal);
  return 'ok' in answer ? answer : judge(answer, service === '' ? 'the server' : service);
}

/** `who`: the subject of the question. */
function judge({ status, head, trailers, content }: H2Answer, who: string): ProbeResult {
  const type = String(head['content-type'] ?? '');
  if (status !== 200 || !/^application\/grpc([+;]|$)/.test(type))
    return failed(`POST ${PATH} answered ${status} and is no gRPC answer`, true);
  // An answer without content has its status in the head.
  const code = trailers['grpc-status'] ?? head['grpc-status'];
  if (code === undefined) return failed(`the health check of ${who} ended without a grpc-status`, true);
  if (code !== '0') return failed(refusal(String(code), trailers['grpc-message'] ?? head['grpc-message'], who), true);
  const serving = servingStatus(content);
  if (serving === 'SERVING') return { ok: true };
  return failed(`the health check says that ${who} is ${serving}`, true);
}

function refusal(code: string, message: unknown, who: string): string {
  const name = CODES[Number(code)] ?? `status ${code.slice(0, 10)}`;
  if (name === 'UNIMPLEMENTED') return `the server does not offer grpc.health.v1.Health (${name})`;
  if (name === 'NOT_FOUND') return `the health check does not know ${who} (${name})`;
  const words = typeof message === 'string' && message !== '' ? `: ${decoded(message)}` : '';
  return `the health check of ${who} failed with ${name}${words}`;
}

/** `grpc-message` is percent-encoded; what cannot be decoded stays as it is. */
function decoded(message: string): string {
  const short = clip(message, MAX_MESSAGE_CHARACTERS);
  try {
    return decodeURIComponent(short);
  } catch {
    return short;
  }
}

/** One gRPC message: not compressed, its length in four octets. */
function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** HealthCheckRequest: the service name as field 1, a string of fewer than 128 octets. */
function requestFor(service: string): Buffer {
  const name = Buffer.from(service.slice(0, 127), 'latin1');
  return name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
}

/** The status in a framed HealthCheckResponse, whose field 1 is its number; fields that are not known yet are skipped. */
function servingStatus(content: Buffer): string {
  const whole = content.length >= PREFIX_BYTES && content[0] === 0;
  if (!whole || content.length !== PREFIX_BYTES + content.readUInt32BE(1)) return 'unreadable';
  const number = firstField(content.subarray(PREFIX_BYTES));
  return number === null ? 'unreadable' : (SERVING_STATUS[number] ?? `in state ${number}`);
}

/** Field 1 of a protobuf message as a varint, 0 when it is absent, the last one when it stands twice; null for what is no message. */
function firstField(message: Buffer): number | null {
  let at = 0;
  let value = 0;
  const varint = (): number => {
    let number = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const octet = message[at++];
      if (octet === undefined) return Number.NaN;
      number += (octet & 0x7f) * 2 ** shift;
      if (octet < 0x80) return number;
    }
    return Number.NaN;
  };
  while (at < message.length) {
    const tag = varint();
    const wireType = tag % 8;
    if (wireType === 0) {
      const number = varint();
      if (Math.floor(tag / 8) === 1) value = number;
    } else if (wireType === 1) at += 8;
    else if (wireType === 2) {
      const length = varint();
      at += length;
    } else if (wireType === 5) at += 4;
    else return null;
    if (Number.isNaN(at) || Number.isNaN(value) || at > message.length) return null;
  }
  return value;
}
