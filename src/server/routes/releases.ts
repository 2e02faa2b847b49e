import type { FastifyReply } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { findRelease } from '../../release/decide.ts';
import { releaseView, releaseViews } from '../../release/view.ts';
import { callerOf } from '../caller.ts';
import type { ServerContext } from '../context.ts';
import type { KeyGuard } from '../key-guard.ts';
import { actionSchema, promoteSchema, type ReleaseDoc, releaseSchema, requestSchema } from '../schemas.ts';

const params = z.object({ id: z.string().min(1).max(100) });
const tags = ['releases'];

/** Reading releases and changing them. Every change takes a reason, an optional If-Match and an optional idempotency key. */
export function releaseRoutes(context: ServerContext, keys: KeyGuard): FastifyPluginAsyncZod {
  const { controller } = context;
  const view = (id: string): ReleaseDoc => releaseView(findRelease(controller.fleet(), id), controller.observed());

  function answer(reply: FastifyReply, id: string): ReleaseDoc {
    const release = view(id);
    reply.header('etag', `"${release.revision}"`);
    return release;
  }

  return async (app) => {
    app.get(
      '/api/v1/releases',
      { schema: { summary: 'All releases, newest first', tags, response: { 200: z.array(releaseSchema) } } },
      async () => releaseViews(controller.fleet(), controller.observed()),
    );
    app.get(
      '/api/v1/releases/:id',
      { schema: { summary: 'One release', tags, params, response: { 200: releaseSchema } } },
      async (request, reply) => answer(reply, request.params.id),
    );
    app.post(
      '/api/v1/releases',
      { schema: { summary: 'Release a version', tags, body: requestSchema, response: { 201: releaseSchema } } },
      async (request, reply) => {
        const id = await controller.request(request.body, callerOf(request, keys));
        reply.code(201);
        return answer(reply, id);
      },
    );
    for (const verb of ['pause', 'resume', 'rollback'] as const) {
      app.post(
        `/api/v1/releases/:id/${verb}`,
        { schema: { summary: SUMMARIES[verb], tags, params, body: actionSchema, response: { 200: releaseSchema } } },
        async (request, reply) => {
          await controller[verb](request.params.id, request.body.reason, callerOf(request, keys));
          return answer(reply, request.params.id);
        },
      );
    }
    app.post(
      '/api/v1/releases/:id/promote',
      { schema: { summary: SUMMARIES.promote, tags, params, body: promoteSchema, response: { 200: releaseSchema } } },
      async (request, reply) => {
        await controller.promote(request.params.id, request.body, callerOf(request, keys));
        return answer(reply, request.params.id);
      },
    );
  };
}

const SUMMARIES = {
  pause: 'Keep the weight; harm is still looked for',
  resume: 'End a pause',
  rollback: 'Return to the version before, at once',
  promote: 'Raise the weight ahead of the evidence',
};
