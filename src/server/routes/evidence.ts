import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { evidenceEvent } from '../../ledger/evidence.ts';
import { concealedEvent } from '../../ledger/vault.ts';
import { actorOf } from '../auth.ts';
import type { ServerContext } from '../context.ts';
import { keyOf } from '../key-guard.ts';

const tags = ['ledger'];
const seq = z.number().int();
const reason = z.string().min(1).max(500).describe('Why; written to the ledger.');
const subject = z.string().min(1).max(200).describe('Who; never written anywhere but as a hash beside the ledger.');
const commitments = z.array(z.string()).describe('base64url(SHA-256(disclosure)), RFC 9901 section 4.2.');

const attachment = z.object({
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  size: z.number().int().min(0),
  type: z.string().min(1).max(200),
  name: z.string().min(1).max(200),
  desc: z.string().max(1_000),
});

/** What only the ledger's one writer may do: record files, personal values and their erasure, change the key. */
export function evidenceRoutes(context: ServerContext): FastifyPluginAsyncZod {
  const { ledger } = context;
  return async (app) => {
    app.post(
      '/api/v1/evidence',
      {
        schema: {
          summary: 'Record a file that was stored beside the ledger',
          tags,
          body: z.object({
            att: attachment,
            release: z.string().max(100).nullable().default(null),
            kind: z.string().min(1).max(60).default('file'),
          }),
          response: { 201: z.object({ seq }) },
        },
      },
      async (request, reply) => {
        const { att, release, kind } = request.body;
        const [record] = await ledger.append([evidenceEvent(att, { release, kind, actor: actorOf(request) })]);
        reply.code(201);
        return { seq: record?.seq ?? 0 };
      },
    );
    app.post(
      '/api/v1/evidence/rotate-key',
      {
        schema: {
          summary: "Replace the ledger's signing key; the old key signs the hand-over",
          tags,
          body: z.object({ reason }).strict(),
          response: { 200: z.object({ seq, vkey: z.string() }) },
        },
      },
      (request) => {
        const idempotencyKey = keyOf(request);
        return context.rotateLedgerKey({
          actor: actorOf(request),
          reason: request.body.reason,
          ...(idempotencyKey !== undefined && { idempotencyKey }),
        });
      },
    );
    app.post(
      '/api/v1/evidence/personal',
      {
        schema: {
          summary: 'Keep personal values outside the ledger and commit to them in it',
          tags,
          body: z
            .object({
              subject,
              fields: z.record(z.string(), z.string()),
              release: z.string().max(100).nullable().default(null),
              reason,
            })
            .strict(),
          response: { 201: z.object({ seq, commitments }) },
        },
      },
      async (request, reply) => {
        const { fields, release } = request.body;
        const sd = await context.vault.conceal(request.body.subject, fields);
        const about = { actor: actorOf(request), release, reason: request.body.reason, fields: Object.keys(fields) };
        const [record] = await ledger.append([concealedEvent(sd, about)]);
        reply.code(201);
        return { seq: record?.seq ?? 0, commitments: sd };
      },
    );
    app.post(
      '/api/v1/evidence/erase',
      {
        schema: {
          summary: 'Forget the personal values of somebody, with its legal basis in the ledger',
          tags,
          body: z.object({ subject, basis: z.string().min(1).max(200), reason: reason.optional() }).strict(),
          response: { 200: z.object({ seq, commitments }) },
        },
      },
      (request) => {
        const { basis, reason: why, subject: who } = request.body;
        const about = { actor: actorOf(request), basis, ...(why !== undefined && { reason: why }) };
        return context.vault.erase(who, ledger, about);
      },
    );
  };
}
