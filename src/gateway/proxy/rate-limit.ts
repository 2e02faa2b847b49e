import { ascii } from '../http1/bytes.ts';
import type { Limiter, LimitView } from '../quota/quota.ts';
import type { OwnAnswer } from './answer.ts';

/**
 * The RateLimit fields of draft-ietf-httpapi-ratelimit-headers-11 (structured fields, whole seconds), and the older
 * `x-ratelimit-*` trio with Envoy's meaning (reset in seconds, never an epoch).
 */
function fieldText(limit: LimitView): string {
  const window = Math.max(1, Math.ceil(limit.burst / limit.perSecond));
  const left = limit.remaining;
  const reset = limit.secondsToFull;
  return (
    `RateLimit-Policy: "default";q=${limit.burst};w=${window}\r\n` +
    `RateLimit: "default";r=${left};t=${reset}\r\n` +
    `x-ratelimit-limit: ${limit.burst}\r\nx-ratelimit-remaining: ${left}\r\nx-ratelimit-reset: ${reset}\r\n`
  );
}

let lastKey = '';
let lastFields = ascii('');

function rateLimitFields(limit: LimitView): Buffer {
  const text = fieldText(limit);
  if (text !== lastKey) {
    lastKey = text;
    lastFields = ascii(text);
  }
  return lastFields;
}

/** Lines that the gateway adds to an answer: the place of a sticky client, and the state of the rate limit. */
export function answerFields(setCookie: Buffer | null, limiter: Limiter | null, nowMs: number): Buffer | null {
  const limit = limiter === null ? null : rateLimitFields(limiter.view(nowMs));
  return setCookie !== null && limit !== null ? Buffer.concat([setCookie, limit]) : (setCookie ?? limit);
}

export function limitAnswer(limit: LimitView, headOnly: boolean, close: boolean): OwnAnswer {
  return {
    status: 429,
    cause: 'limiter',
    detail: `more than ${limit.perSecond} requests per second (burst ${limit.burst})`,
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    headOnly,
    close,
    extra: `Retry-After: ${limit.secondsToToken}\r\n${fieldText(limit)}`,
  };
}
