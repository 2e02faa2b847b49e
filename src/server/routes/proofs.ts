import { Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DavyError } from '../../lib/error.ts';
import type { MayGoOn } from '../auth.ts';
import type { ServerContext } from '../context.ts';
import { apiErrors } from '../errors.ts';

const MAX_LINES = 1_000;
const PART_CHARS = 16_384;
const tags = ['ledger'];
const count = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const path = z.array(z.string()).nullable();

const proofSchema = z.object({
  vkey: z.string().describe('C2SP verifier key of the ledger; compare it with a copy from elsewhere.'),
  checkpoint: z.string().describe('C2SP signed note over size and Merkle root.'),
  size: z.number().int(),
  inclusion: path.describe('RFC 6962 section 2.1.1, hex, leaf to root; null when the record is not in the tree.'),
  consistency: path.describe('RFC 6962 section 2.1.2, hex; null when `fromSize` is larger than the tree.'),
});

export type ProofDoc = z.infer<typeof proofSchema>;

/** Raw material for whoever checks the ledger themselves, the page in a browser among them. */
export function proofRoutes({ proofs, ledgerKey }: ServerContext, mayGoOn: MayGoOn): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      '/api/v1/evidence/lines',
      {
        schema: {
          summary: 'Records byte for byte as stored, one JSON document per line',
          tags,
          produces: ['application/x-ndjson'],
          querystring: z.object({
            from: count.default(0),
            limit: z.coerce.number().int().min(1).max(MAX_LINES).default(MAX_LINES),
          }),
        },
      },
      async (request, reply) => {
        const { from, limit } = request.query;
        const lines = await proofs.lines(from, limit);
        reply.type('application/x-ndjson; charset=utf-8');
        return Readable.from(whileEntitled(lines, () => mayGoOn(request)));
      },
    );
    app.get(
      '/api/v1/evidence/proof',
      {
        schema: {
          summary: 'The newest checkpoint with an inclusion and a consistency proof',
          tags,
          querystring: z.object({ seq: count.optional(), fromSize: count.optional() }),
          response: { 200: proofSchema },
        },
      },
      async ({ query }) => ({
        vkey: ledgerKey(),
        ...(await proofs.prove({ seq: query.seq ?? null, fromSize: query.fromSize ?? null })),
      }),
    );
  };
}

/** Up to 64 MB that a reader takes at its own pace: the answer is cut when it may not read any more. */
function* whileEntitled(lines: readonly string[], mayGoOn: () => boolean): Generator<string> {
  let part = '';
  for (const line of lines) {
    part += `${line}\n`;
    if (part.length < PART_CHARS) continue;
    if (!mayGoOn()) throw new DavyError(apiErrors.unauthorised, 'The session ended while the lines were sent.');
    yield part;
    part = '';
  }
  if (part !== '') yield part;
}
