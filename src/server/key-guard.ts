import { createHash } from 'node:crypto';
import { DavyError } from '../lib/error.ts';
import { apiErrors } from './errors.ts';

const MAX_KEYS = 10_000;

/**
 * Remembers which request an idempotency key belonged to, so that the same key with another body is an error.
 * What the key *did* is remembered by the ledger; this memory may be lost in a restart without a second effect.
 */
export interface KeyGuard {
  /** Throws `api/key-reused` when the key was seen with another request. */
  check(key: string, request: string): void;
}

export function createKeyGuard(): KeyGuard {
  const seen = new Map<string, string>();
  return {
    check(key, request) {
      const digest = createHash('sha256').update(request).digest('hex');
      const before = seen.get(key);
      if (before !== undefined && before !== digest) {
        throw new DavyError(apiErrors['key-reused'], 'This idempotency key was used for a different request.');
      }
      seen.set(key, digest);
      if (seen.size > MAX_KEYS) seen.delete(seen.keys().next().value as string);
    },
  };
}
