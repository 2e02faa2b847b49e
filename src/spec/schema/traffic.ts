import { z } from 'zod';
import { specDefaults as d } from '../defaults.ts';
import { duration, integer, named, orNone, rate, share } from '../fields.ts';
import { gatewayFields } from './gateway.ts';

const retries = z.strictObject({
  maxTries: integer({
    description: 'Tries in all, the first included. Only requests that are safe to repeat are tried again.',
    example: 3,
    default: d.retries.maxTries,
    min: 1,
    max: 10,
  }).optional(),
  perTry: duration({
    description:
      'Time for one try, up to the head of the response. Of gRPC calls only those with an `Idempotency-Key` are tried again.',
    example: '2s',
    default: d.retries.perTry,
    min: '1ms',
    max: '1h',
  }).optional(),
  budget: share({
    description: 'Retries in flight may be at most this share of the requests in flight (never fewer than 3 at once).',
    example: '20%',
    default: d.retries.budget,
    min: '0%',
    max: '100%',
  }).optional(),
});

const ejection = z.strictObject({
  consecutive5xx: integer({
    description: 'Failures in a row (5xx, time-outs, resets) after which an instance gets no traffic for a while.',
    example: 5,
    default: d.ejection.consecutive5xx,
    min: 1,
    max: 1000,
  }).optional(),
  for: duration({
    description: 'How long the first ejection lasts; the n-th lasts n times as long.',
    example: '30s',
    default: d.ejection.for,
    min: '100ms',
    max: '1h',
  }).optional(),
});

const rateLimit = z.strictObject({
  rate: rate({
    description: 'Requests admitted in the long run; the rest is answered with 429.',
    example: '1000/s',
    min: '0.01/s',
    max: '1000000/s',
  }),
  burst: integer({
    description: 'Requests admitted at once after a quiet time.',
    example: 200,
    min: 1,
    max: 10_000_000,
  }),
});

/** What the gateway does with the requests of a service. */
export const traffic = z.strictObject({
  timeout: duration({
    description:
      'Time for the whole request up to the head of the response, all tries and pauses included. A gRPC call has its own deadline (`grpc-timeout`) instead.',
    example: '7s',
    default: d.traffic.timeout,
    min: '10ms',
    max: '1h',
  }).optional(),
  retries: orNone(retries, {
    description: 'Repeats requests that failed and are safe to repeat.',
    example: { maxTries: 3, perTry: '2s', budget: '20%' },
    default: d.traffic.retries,
  }).optional(),
  ejection: orNone(ejection, {
    description: 'Takes an instance out of the rotation while it fails. Never the last one of its version.',
    example: { consecutive5xx: 5, for: '30s' },
    default: d.traffic.ejection,
  }).optional(),
  canaryHeader: named({
    description: 'A request with this header set to `true` reaches the canary at any weight. `none`: no such header.',
    example: 'x-canary',
    default: d.traffic.canaryHeader,
    pattern: /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/,
    rule: 'be the name of an HTTP header (RFC 9110 section 5.1), at most 64 characters',
  }).optional(),
  rateLimit: orNone(rateLimit, {
    description: 'Limits the requests that the gateway lets through to this service.',
    example: { rate: '1000/s', burst: 200 },
    default: d.traffic.rateLimit,
  }).optional(),
  ...gatewayFields,
});
