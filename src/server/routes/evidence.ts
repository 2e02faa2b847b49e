import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { evidenceEvent } from '../../ledger/evidence.ts';
import { actorOf } from '../auth.ts';
import type { ServerContext } from '../context.ts';

const attachment = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  size: z.number().int().min(0),
  type: z.string().min(1).max(200),
  name: z.string().min(1).max(200),
  desc: z.string().max(1_000),
});

/** Records a file that is stored beside the ledger already: while the controller runs, it is the ledger's only writer. */
export function evidenceRoutes({ ledger }: ServerContext): FastifyPluginAsyncZod {
  return async (app) => {
    app.post(
      '/api/v1/evidence',
      {
        schema: {
          summary: 'Record a file that was stored beside the ledger',
          tags: ['ledger'],
          body: z.object({
            att: attachment,
            release: z.string().max(100).nullable().default(null),
            kind: z.string().min(1).max(60).default('file'),
          }),
          response: { 201: z.object({ seq: z.number().int() }) },
        },
      },
      async (request, reply) => {
        const { att, release, kind } = request.body;
        const [record] = await ledger.append([evidenceEvent(att, { release, kind, actor: actorOf(request) })]);
        reply.code(201);
        return { seq: record?.seq ?? 0 };
      },
    );
  };
}
