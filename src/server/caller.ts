import type { FastifyRequest } from 'fastify';
import { DavyError } from '../lib/error.ts';
import type { Caller } from '../release/controller.ts';
import { actorOf } from './auth.ts';
import { apiErrors } from './errors.ts';
import type { KeyGuard } from './key-guard.ts';

/** Who asks for a change, with the idempotency key and the revision (If-Match) of the request. */
export function callerOf(request: FastifyRequest, keys: KeyGuard): Caller {
  const caller: Caller = { actor: actorOf(request) };
  const key = keys.keyOf(request);
  if (key !== undefined) caller.key = key;
  const match = request.headers['if-match'];
  if (match !== undefined && match !== '*') {
    const revision = /^"(\d{1,15})"$/.exec(match)?.[1];
    if (revision === undefined) throw invalid('If-Match takes the ETag of the release, for example "3".');
    caller.revision = Number(revision);
  }
  return caller;
}

function invalid(sentence: string): DavyError {
  return new DavyError(apiErrors['invalid-request'], sentence);
}
