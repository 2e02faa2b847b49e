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

const IMF_DATE =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/;

/**
 * Retry-After as ms from now, at most 300 s: whole seconds or a date (RFC 9110 sections 10.2.3 and 5.6.7); 0 when there is none that is
 * understood, or the date has passed. `wallMs`: the wall clock.
 */
export function retryAfterMs(head: Head, buf: Buffer, wallMs = Date.now()): number {
  if (head.retryAfterAt < 0) return 0;
  const text = buf.toString('latin1', head.valueStart[head.retryAfterAt], head.valueEnd[head.retryAfterAt]);
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : IMF_DATE.test(text) ? (Date.parse(text) - wallMs) / 1000 : 0;
  return seconds > 0 ? Math.min(MAX_RETRY_AFTER_S, seconds) * 1000 : 0;
}
