import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { LedgerRecord } from '../../ledger/record.ts';
import { DavyError } from '../../lib/error.ts';
import type { ServerContext } from '../context.ts';
import { apiErrors } from '../errors.ts';
import { streamRecords } from '../event-stream.ts';
import { recordSchema } from '../schemas.ts';

const MAX_PAGE = 1000;
/** Records that one filtered call looks at. */
const MAX_SCAN = 10_000;
const tags = ['ledger'];
const seq = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Ledger records as pages and as a live stream, and the check of the whole chain. */
export function ledgerRoutes({ ledger, verifyLedger }: ServerContext): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      '/api/v1/records',
      {
        schema: {
          summary: 'Ledger records in order',
          tags,
          querystring: z.object({
            from: seq.default(0),
            limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(100),
            type: z.string().max(100).default('').describe('Only types that begin like this.'),
            text: z.string().max(100).default('').describe('Only records whose stream, actor or data contain this.'),
          }),
          response: {
            200: z.object({
              size: z.number().int(),
              next: z.number().int().describe('Where to go on; `size` at the end.'),
              records: z.array(recordSchema),
            }),
          },
        },
      },
      async ({ query }) => {
        const records: LedgerRecord[] = [];
        const size = ledger.head().size;
        let next = Math.min(query.from, size);
        for await (const record of ledger.read(query.from)) {
          next = record.seq + 1;
          if (matches(record, query)) records.push(record);
          if (records.length >= query.limit || next - query.from >= MAX_SCAN) break;
        }
        return { size, next, records: records.map((record) => ({ ...record })) };
      },
    );
    app.get(
      '/api/v1/events',
      {
        schema: {
          summary: 'Ledger records as server-sent events; resumes by Last-Event-ID',
          tags,
          querystring: z.object({ after: seq.optional() }),
        },
      },
      (request, reply) => {
        const last = request.headers['last-event-id'];
        if (last !== undefined && (typeof last !== 'string' || !/^\d{1,15}$/.test(last))) {
          throw new DavyError(apiErrors['invalid-request'], 'Last-Event-ID takes the seq of a record.');
        }
        const after = last === undefined ? (request.query.after ?? ledger.head().size - 1) : Number(last);
        reply.hijack();
        streamRecords(ledger, after, reply.raw);
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

function matches(record: LedgerRecord, { type, text }: { type: string; text: string }): boolean {
  if (!record.type.startsWith(type)) return false;
  if (text === '' || record.stream.includes(text) || record.actor.id.includes(text)) return true;
  return JSON.stringify(record.data).includes(text);
}
