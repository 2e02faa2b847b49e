import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { DavyError } from '../../lib/error.ts';
import { type AuthRules, isToken, PAGE_HEADER, portOf } from '../auth.ts';
import { apiErrors } from '../errors.ts';
import { sessionCookie, sessionIdOf } from '../sessions.ts';

const tags = ['session'];
const sessionSchema = z.object({ expiresAtMs: z.number() });

/** The page's login: the token is exchanged once for a cookie that scripts cannot read. */
export function sessionRoutes(rules: AuthRules): FastifyPluginAsyncZod {
  return async (app) => {
    app.post(
      '/api/v1/session',
      {
        schema: {
          summary: 'Exchange the token for a session cookie',
          tags,
          body: z.object({ token: z.string().min(1).max(512) }).strict(),
          response: { 201: sessionSchema },
        },
      },
      async (request, reply) => {
        if (request.headers[PAGE_HEADER] === undefined) {
          throw new DavyError(apiErrors['foreign-host'], `A login needs the header ${PAGE_HEADER}.`);
        }
        if (!isToken(request.body.token, rules)) {
          throw new DavyError(apiErrors.unauthorised, 'This is not the token that davy up printed.');
        }
        const { id, expiresAtMs } = rules.sessions.open();
        reply.code(201).header('set-cookie', sessionCookie(id, portOf(request)));
        return { expiresAtMs };
      },
    );
    app.get(
      '/api/v1/session',
      { schema: { summary: 'Whether a session is open', tags, response: { 200: sessionSchema } } },
      async (request) => {
        const id = sessionIdOf(request.headers.cookie, portOf(request));
        const expiresAtMs = id === null ? null : rules.sessions.find(id);
        if (expiresAtMs === null) throw new DavyError(apiErrors.unauthorised, 'No session is open.');
        return { expiresAtMs };
      },
    );
    app.delete(
      '/api/v1/session',
      { schema: { summary: 'End the session', tags, response: { 200: z.object({ ended: z.boolean() }) } } },
      async (request, reply) => {
        const id = sessionIdOf(request.headers.cookie, portOf(request));
        if (id !== null) rules.sessions.close(id);
        reply.header('set-cookie', sessionCookie('', portOf(request)));
        return { ended: id !== null };
      },
    );
  };
}
