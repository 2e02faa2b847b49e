import { visibleJson } from '../../lib/outside-text/json.ts';
import { FLAGS } from '../stats/flags.ts';

/** One line of the access log. Paths are written without their query, and no other part of a request: it may hold secrets. */
export interface AccessLine {
  service: string;
  version: string | null;
  instance: string | null;
  cohort: 'weight' | 'header';
  /** The head as it was forwarded; its first line is used. Null when nothing was forwarded. */
  head: Buffer | null;
  status: number;
  /** Of a gRPC call; null when it was told none. */
  grpcStatus?: number | null;
  flag: number;
  durationMs: number;
  tries: number;
  /** Of a tunnel: octets to its target, and from it. */
  sentBytes?: number;
  receivedBytes?: number;
}

/** Writes one JSON line to standard output, which is the gateway's log file. */
export function writeAccessLine(line: AccessLine): void {
  const { head, flag, durationMs, ...rest } = line;
  const request = head === null ? '' : head.toString('latin1', 0, Math.min(2048, head.indexOf(' HTTP/1.1\r\n')));
  const [method = null, target = null] = request === '' ? [] : request.split(' ');
  const path = target?.split('?')[0] ?? null;
  const at = new Date().toISOString();
  const ms = Math.round(durationMs * 1000) / 1000;
  process.stdout.write(`${visibleJson(JSON.stringify({ at, ...rest, method, path, flags: FLAGS[flag], ms }))}\n`);
}
