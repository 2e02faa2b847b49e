import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { DavyError } from '../lib/error.ts';
import { readableReason } from '../lib/reason.ts';
import { apiErrors } from './errors.ts';

/** Fields of a body that say why something is done; the ledger keeps them for good. */
const REASONS = ['reason', 'basis'];

/**
 * Refuses what is no text before anything reads it: octets that are not UTF-8, halves of characters and NUL (the ledger
 * holds I-JSON, RFC 7493 section 2.1), and reasons in which nothing can be read.
 */
export function guardText(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (isUtf8(body)) parse(request, body.toString('utf8'), done);
    else done(new DavyError(apiErrors['not-text'], 'The body is not UTF-8.'));
  });
  app.addHook('preValidation', async ({ body, params, query }: FastifyRequest) => {
    refuseNoText(params, 'The address');
    refuseNoText(query, 'The address');
    refuseNoText(body, 'The body');
    if (typeof body !== 'object' || body === null) return;
    for (const [name, value] of Object.entries(body)) {
      if (typeof value === 'string' && REASONS.includes(name)) readableReason(value);
    }
  });
}

/** The body is bounded, and so is this: it was parsed from at most 64 KiB. */
function refuseNoText(value: unknown, where: string): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw noText(`${where} holds half of a surrogate pair.`);
    if (value.includes('\u0000')) throw noText(`${where} holds the character U+0000.`);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      refuseNoText(name, where);
      refuseNoText(inner, where);
    }
  }
}

function noText(sentence: string): DavyError {
  return new DavyError(apiErrors['not-text'], sentence);
}
