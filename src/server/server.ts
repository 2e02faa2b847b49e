import swagger from '@fastify/swagger';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { DavyError, messageOf } from '../lib/error.ts';
import { type AuthRules, authorise, isEntitled, type MayGoOn } from './auth.ts';
import type { ServerContext } from './context.ts';
import { apiErrors } from './errors.ts';
import { createKeyGuard } from './key-guard.ts';
import { servePage } from './page.ts';
import { chaosRoutes } from './routes/chaos.ts';
import { evidenceRoutes } from './routes/evidence.ts';
import { fleetRoutes } from './routes/fleet.ts';
import { gatewayRoutes } from './routes/gateway.ts';
import { historyRoutes } from './routes/history.ts';
import { holdRoutes } from './routes/hold.ts';
import { ledgerRoutes } from './routes/ledger.ts';
import { metricsSilenceRoutes } from './routes/metrics-silence.ts';
import { operationRoutes } from './routes/operations.ts';
import { proofRoutes } from './routes/proofs.ts';
import { releaseRoutes } from './routes/releases.ts';
import { sessionRoutes } from './routes/session.ts';
import { systemRoutes } from './routes/system.ts';
import { trafficRoutes } from './routes/traffic.ts';
import { errorSchema } from './schemas.ts';
import { createSessions } from './sessions.ts';
import { guardText } from './text-guard.ts';

const BODY_LIMIT_BYTES = 64 * 1024;
const MIN_CHOSEN_TOKEN_CHARS = 32;

export interface ListenOptions {
  host: string;
  port: number;
  token: string;
  /** The operator chose the token (DAVY_TOKEN); needed beyond loopback. */
  tokenWasChosen: boolean;
  /** Where sessions of the page are kept over a restart. */
  sessionFile: string;
  version: string;
}

export interface RunningServer {
  url: string;
  close(): Promise<void>;
}

/** Serves the API. Rejects with `api/port-in-use` or `api/exposed-without-token`. */
export async function startServer(context: ServerContext, options: ListenOptions): Promise<RunningServer> {
  const loopback = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(options.host);
  if (!loopback && (!options.tokenWasChosen || options.token.length < MIN_CHOSEN_TOKEN_CHARS)) {
    throw new DavyError(
      apiErrors['exposed-without-token'],
      `Davy will not listen on ${options.host} with a token that nobody chose.`,
    );
  }
  const salt = options.tokenWasChosen ? options.token : '';
  const sessions = createSessions(context.clock, { file: options.sessionFile, salt });
  const rules = { token: options.token, loopback, sessions };
  const app = await buildServer(context, rules, options.version);
  try {
    const url = await app.listen({ host: options.host, port: options.port });
    return { url, close: () => app.close() };
  } catch (error) {
    await app.close();
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new DavyError(apiErrors['port-in-use'], `Port ${options.port} on ${options.host} is in use.`, {
      cause: error,
    });
  }
}

/** Whatever shows or changes what the ledger knows; a session and the documents of the API do not. */
function needsFleet(route: string): boolean {
  return route === '/metrics' || (/^\/api\/v1\//.test(route) && !/^\/api\/v1\/(session|openapi\.json)/.test(route));
}

/** The server without a listening socket. */
export async function buildServer(context: ServerContext, rules: AuthRules, version: string): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 200 },
    // An address that cannot be decoded has no route, and no hook is asked.
    frameworkErrors: (error, _request, reply) => {
      const known = toDavyError(error as FastifyError);
      const answer: FastifyReply = reply.headers({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
      answer.code(known.kind.http).send(errorBody(known));
    },
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  const mayGoOn: MayGoOn = (request) => isEntitled(request, rules);
  app.addHook('onRequest', async (request) => authorise(request, rules));
  // A body may have taken its time.
  app.addHook('preHandler', async (request) => authorise(request, rules));
  guardText(app);
  app.addHook('onRequest', async (request) => {
    if (context.replayed() || !needsFleet(request.routeOptions.url ?? '')) return;
    throw new DavyError(apiErrors.starting, 'Davy is still reading its ledger.');
  });
  app.addHook('onRoute', ({ schema }) => {
    if (schema) schema.response = { '4xx': errorSchema, '5xx': errorSchema, ...(schema.response as object) };
  });
  app.addHook('onSend', async (request, reply, payload) => {
    reply.header('x-content-type-options', 'nosniff');
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    if (reply.statusCode >= 400 || request.method !== 'GET' || mayGoOn(request)) return payload;
    const ended = new DavyError(apiErrors.unauthorised, 'The session ended before the answer was ready.');
    reply.code(ended.kind.http).type('application/json; charset=utf-8').removeHeader('content-length');
    return JSON.stringify(errorBody(ended));
  });
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const known = toDavyError(error);
    if (known.kind === apiErrors.internal)
      context.log.error({ error: messageOf(error), stack: error.stack }, 'a request failed');
    reply.code(known.kind.http).send(errorBody(known));
  });
  app.setNotFoundHandler((request, reply) => {
    const missing = new DavyError(
      apiErrors['not-found'],
      `There is no ${request.method} ${(request.url.split('?')[0] ?? '').slice(0, 200)}.`,
    );
    reply.code(404).send(errorBody(missing));
  });
  await app.register(swagger, {
    openapi: {
      info: { title: 'Davy', version, description: 'Release safety from one file.' },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  });
  app.register(sessionRoutes(rules));
  app.register(fleetRoutes(context));
  const keys = createKeyGuard();
  app.register(releaseRoutes(context, keys));
  app.register(chaosRoutes(context));
  app.register(metricsSilenceRoutes(context));
  app.register(evidenceRoutes(context));
  app.register(ledgerRoutes(context, mayGoOn));
  app.register(operationRoutes(context));
  app.register(gatewayRoutes(context, keys));
  app.register(historyRoutes(context));
  app.register(holdRoutes(context, keys));
  app.register(proofRoutes(context, mayGoOn));
  app.register(trafficRoutes(context));
  app.register(systemRoutes(context, version));
  app.get('/api/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  await servePage(app);
  await app.ready();
  return app;
}

function errorBody(error: DavyError): unknown {
  const { code, message, next, kind, position } = error;
  return { error: { code, sentence: message, next, exit: kind.exit, ...(position ? { position } : {}) } };
}

/** Framework errors become entries of the catalogue; anything unknown stays without detail for the caller. */
function toDavyError(error: FastifyError): DavyError {
  if (error instanceof DavyError) return error;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new DavyError(apiErrors['too-large'], `The body is larger than ${BODY_LIMIT_BYTES} bytes.`);
  }
  if (error.validation || (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)) {
    return new DavyError(apiErrors['invalid-request'], messageOf(error).slice(0, 500));
  }
  return new DavyError(apiErrors.internal, 'Something failed inside Davy.');
}
