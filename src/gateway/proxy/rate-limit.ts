import { ascii } from '../http1/bytes.ts';
import type { TokenBucket } from '../route/token-bucket.ts';
import type { OwnAnswer } from './answer.ts';

/**
 * The RateLimit fields of draft-ietf-httpapi-ratelimit-headers-11 (structured fields, whole seconds), and the older
 * `x-ratelimit-*` trio with Envoy's meaning (reset in seconds, never an epoch).
 */
function fieldText(bucket: TokenBucket): string {
  const window = Math.max(1, Math.ceil(bucket.burst / bucket.perSecond));
  const left = bucket.remaining;
  const reset = bucket.secondsToFull;
  return (
    `RateLimit-Policy: "default";q=${bucket.burst};w=${window}\r\n` +
    `RateLimit: "default";r=${left};t=${reset}\r\n` +
    `x-ratelimit-limit: ${bucket.burst}\r\nx-ratelimit-remaining: ${left}\r\nx-ratelimit-reset: ${reset}\r\n`
  );
}

let lastKey = '';
let lastFields = ascii('');

export function rateLimitFields(bucket: TokenBucket): Buffer {
  const text = fieldText(bucket);
  if (text !== lastKey) {
    lastKey = text;
    lastFields = ascii(text);
  }
  return lastFields;
}

export function limitAnswer(bucket: TokenBucket, headOnly: boolean, close: boolean): OwnAnswer {
  return {
    status: 429,
    cause: 'limiter',
    detail: `more than ${bucket.perSecond} requests per second (burst ${bucket.burst})`,
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    headOnly,
    close,
    extra: `Retry-After: ${bucket.secondsToToken}\r\n${fieldText(bucket)}`,
  };
}
