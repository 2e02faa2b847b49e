import type { Head } from '../http1/head.ts';

const BACKOFF_BASE_MS = 25;
const MAX_RETRY_AFTER_S = 300;

/** Statuses that are tried again (Envoy's `gateway-error`). */
export function isRetriableStatus(status: number): boolean {
  return status >= 502 && status <= 504;
}

/** Full jitter in [0, (2^tries - 1)·25 ms), at most 250 ms (Envoy's `retry_back_off`). `random` is 0..1. */
export function backOffMs(tries: number, random: number): number {
  return random * Math.min(10 * BACKOFF_BASE_MS, (2 ** tries - 1) * BACKOFF_BASE_MS);
}

/** Retry-After in whole seconds, as ms, at most 300 s; 0 for a date or nothing (RFC 9110 section 10.2.3). */
export function retryAfterMs(head: Head, buf: Buffer): number {
  if (head.retryAfterAt < 0) return 0;
  const text = buf.toString('latin1', head.valueStart[head.retryAfterAt], head.valueEnd[head.retryAfterAt]);
  return /^\d{1,6}$/.test(text) ? Math.min(MAX_RETRY_AFTER_S, Number(text)) * 1000 : 0;
}
