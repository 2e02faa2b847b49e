import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { DavyError } from '../lib/error.ts';
import { apiErrors } from './errors.ts';

const KEY = /^[\x21-\x7e]{1,128}$/;
const MAX_KEYS = 10_000;

/**
 * Remembers which request an idempotency key belonged to, so that the same key with another body is an error.
 * What the key *did* is remembered by the ledger; this memory may be lost in a restart without a second effect.
 */
export interface KeyGuard {
  /** The request's key, if it has one. Throws `api/key-reused` when that key came with another request before. */
  keyOf(request: FastifyRequest): string | undefined;
}

/** The idempotency key of a request; throws `api/invalid-request` when it is no key. */
export function keyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && KEY.test(key)) return key;
  throw new DavyError(apiErrors['invalid-request'], 'Idempotency-Key takes 1 to 128 visible ASCII characters.');
}

export function createKeyGuard(): KeyGuard {
  const seen = new Map<string, string>();
  return {
    keyOf(request) {
      const key = keyOf(request);
      if (key === undefined) return undefined;
      const asked = `${request.method} ${request.url} ${JSON.stringify(request.body)}`;
      const digest = createHash('sha256').update(asked).digest('hex');
      const before = seen.get(key);
      if (before !== undefined && before !== digest) {
        throw new DavyError(apiErrors['key-reused'], 'This idempotency key was used for a different request.');
      }
      seen.set(key, digest);
      if (seen.size > MAX_KEYS) seen.delete(seen.keys().next().value as string);
      return key;
    },
  };
}
