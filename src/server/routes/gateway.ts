import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { actorOf } from '../auth.ts';
import type { ServerContext } from '../context.ts';
import type { KeyGuard } from '../key-guard.ts';

const restarted = z.object({
  pid: z.number().int().describe('The process that serves now.'),
  tookMs: z.number().describe('From the asking to its serving.'),
});

/** The life of the built-in data plane. */
export function gatewayRoutes(context: ServerContext, keys: KeyGuard): FastifyPluginAsyncZod {
  return async (app) => {
    app.post(
      '/api/v1/gateway/restart',
      {
        schema: {
          summary: 'Put a new gateway process in the place of the running one; no request is lost',
          tags: ['operations'],
          body: z.object({ reason: z.string().min(1).max(1_000) }).strict(),
          response: { 200: restarted },
        },
      },
      (request) => context.restartGateway(request.body.reason, actorOf(request), keys.keyOf(request)),
    );
  };
}
