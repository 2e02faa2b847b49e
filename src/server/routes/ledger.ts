import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DavyError } from '../../lib/error.ts';
import type { MayGoOn } from '../auth.ts';
import type { ServerContext } from '../context.ts';
import { apiErrors } from '../errors.ts';
import { streamRecords } from '../event-stream.ts';
import { searchBackwards, searchForwards } from '../record-search.ts';
import { recordSchema } from '../schemas.ts';

const MAX_PAGE = 1000;
const tags = ['ledger'];
const seq = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Ledger records as pages and as a live stream, and the check of the whole chain. */
export function ledgerRoutes({ ledger, clock, verifyLedger }: ServerContext, mayGoOn: MayGoOn): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      '/api/v1/records',
      {
        schema: {
          summary: 'Ledger records, from one on or newest first',
          tags,
          querystring: z.object({
            from: seq.default(0),
            limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(100),
            before: seq.optional().describe('Newest first, only records before this one; instead of `from`.'),
            type: z
              .string()
              .max(1_000)
              .default('')
              .describe('Only types that begin like this, or like one of several with commas between.'),
            text: z
              .string()
              .max(100)
              .default('')
              .describe('Only records whose type, stream, actor or data contain this, letters compared without case.'),
          }),
          response: {
            200: z.object({
              size: z.number().int(),
              next: z
                .number()
                .int()
                .describe('Where to go on: as `from`, `size` at the end; as `before`, 0 when nothing is left.'),
              records: z.array(recordSchema),
            }),
          },
        },
      },
      async ({ query }) => {
        const { from, before, limit, text } = query;
        const filter = { types: query.type.split(',').filter((type) => type !== ''), text };
        const page = await (before === undefined
          ? searchForwards(ledger, from, limit, filter)
          : searchBackwards(ledger, before, limit, filter));
        return { size: ledger.head().size, next: page.next, records: page.records.map((record) => ({ ...record })) };
      },
    );
    app.get(
      '/api/v1/events',
      {
        schema: {
          summary:
            'Ledger records as server-sent events; resumes by Last-Event-ID, ends with `stream.ended` when the session does',
          tags,
          querystring: z.object({ after: seq.optional() }),
        },
      },
      (request, reply) => {
        const last = request.headers['last-event-id'];
        if (last !== undefined && (typeof last !== 'string' || !/^\d{1,15}$/.test(last))) {
          throw new DavyError(apiErrors['invalid-request'], 'Last-Event-ID takes the seq of a record.');
        }
        const afterSeq = last === undefined ? (request.query.after ?? ledger.head().size - 1) : Number(last);
        reply.hijack();
        streamRecords(ledger, reply.raw, { afterSeq, clock, mayGoOn: () => mayGoOn(request) });
      },
    );
    app.get(
      '/api/v1/evidence/verify',
      {
        schema: {
          summary: 'Check the whole ledger on disk',
          tags,
          response: {
            200: z.object({
              ok: z.boolean(),
              size: z.number().int(),
              root: z.string(),
              firstBad: z.object({ seq: z.number().int(), file: z.string(), why: z.string() }).nullable(),
            }),
          },
        },
      },
      () => verifyLedger(),
    );
  };
}
