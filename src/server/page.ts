import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { DavyError } from '../lib/error.ts';
import { isPagePath, PAGE_ROUTE } from './auth.ts';
import { apiErrors } from './errors.ts';

const BUILT = fileURLToPath(new URL('../../web/dist', import.meta.url));
/** Nothing inline, nothing from elsewhere, no frame around it: a name that came with hostile markup stays text. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** Serves the built page; every address that is no file and not under /api/ is a deep link into it. */
export async function servePage(app: FastifyInstance): Promise<void> {
  await app.register(fastifyStatic, { root: BUILT, serve: false, cacheControl: false });
  app.get(PAGE_ROUTE, { schema: { hide: true } }, async (request, reply) => {
    const name = (request.params as { '*': string })['*'];
    if (!isPagePath(name)) {
      throw new DavyError(
        apiErrors['not-found'],
        `There is no ${request.method} ${(request.url.split('?')[0] ?? '').slice(0, 200)}.`,
      );
    }
    if (!existsSync(join(BUILT, 'index.html'))) {
      throw new DavyError(apiErrors['page-not-built'], 'The page was not built; the API works without it.');
    }
    if (name.startsWith('assets/')) return asset(reply, name);
    if (/^[a-z-]+\.(svg|txt)$/.test(name)) return protect(reply).sendFile(name);
    return protect(reply).header('cache-control', 'no-cache').sendFile('index.html');
  });
}

/** Their names carry a hash of their content. */
function asset(reply: FastifyReply, name: string): FastifyReply {
  return protect(reply).header('cache-control', 'public, max-age=31536000, immutable').sendFile(name);
}

function protect(reply: FastifyReply): FastifyReply {
  return reply
    .header('content-security-policy', POLICY)
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-opener-policy', 'same-origin')
    .header('cross-origin-resource-policy', 'same-origin')
    .header('permissions-policy', 'camera=(), microphone=(), geolocation=()');
}
