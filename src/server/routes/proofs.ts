import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';

const MAX_LINES = 1_000;
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
export function proofRoutes({ proofs, ledgerKey }: ServerContext): FastifyPluginAsyncZod {
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
      async ({ query }, reply) => {
        const lines = await proofs.lines(query.from, query.limit);
        reply.type('application/x-ndjson; charset=utf-8');
        return lines.map((line) => `${line}\n`).join('');
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
