import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { MAX_SILENCE_MS } from '../../metrics/silence.ts';
import { actorOf } from '../auth.ts';
import type { ServerContext } from '../context.ts';

const body = z
  .object({
    forMs: z.number().int().min(1).max(MAX_SILENCE_MS).describe('How long; it ends by itself.'),
    reason: z.string().min(1).max(1_000),
  })
  .strict();

/** Rehearsing what releases do when their metrics stay away: `davy verify` asks for it. */
export function metricsSilenceRoutes(context: ServerContext): FastifyPluginAsyncZod {
  return async (app) => {
    app.post(
      '/api/v1/metrics/silence',
      {
        schema: {
          summary: "Keep the metrics from the releases' judge for a while; traffic is not touched",
          tags: ['chaos'],
          body,
          response: { 201: z.object({ untilMs: z.number() }) },
        },
      },
      async (request, reply) => {
        const silence = await context.silenceMetrics(request.body, actorOf(request));
        reply.code(201);
        return silence;
      },
    );
  };
}
