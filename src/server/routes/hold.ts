import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { callerOf } from '../caller.ts';
import type { ServerContext } from '../context.ts';
import type { KeyGuard } from '../key-guard.ts';
import { acceptLossSchema } from '../schemas.ts';

const continued = z.object({
  ended: z.array(z.string()).describe('Releases that ended by it, because the world had them lower.'),
});

/** The way out of a hold: the world was ahead of the ledger, and a person decides. */
export function holdRoutes({ controller }: ServerContext, keys: KeyGuard): FastifyPluginAsyncZod {
  return async (app) => {
    app.post(
      '/api/v1/traffic/continue',
      {
        schema: {
          summary: 'Go on from what is in force although records of the ledger are lost; nothing is raised by it',
          tags: ['releases'],
          body: acceptLossSchema,
          response: { 200: continued },
        },
      },
      async (request) => ({ ended: await controller.acceptLoss(request.body, callerOf(request, keys)) }),
    );
  };
}
