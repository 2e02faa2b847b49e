import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Actor } from '../ledger/record.ts';
import { DavyError } from '../lib/error.ts';
import { apiErrors } from './errors.ts';
import { type Sessions, sessionIdOf } from './sessions.ts';

/** Calls that answer without a token. Everything else is refused by default. */
const OPEN_CALLS = new Set(['GET /healthz', 'HEAD /healthz', 'GET /readyz', 'HEAD /readyz', 'POST /api/v1/session']);
/** The one route that serves the page's files and its deep links. */
export const PAGE_ROUTE = '/*';
/** A form or an image of another site cannot send it, and a script of another site may not. */
export const PAGE_HEADER = 'x-davy-page';
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/;
const ACTOR = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export interface AuthRules {
  token: string;
  /** The server listens on a loopback address: its metrics need no token, and only loopback names may address it. */
  loopback: boolean;
  sessions: Sessions;
}

/**
 * Whether a request that was let in may still be answered. A session ends while an answer is being given: whoever sends
 * for longer than a moment asks again.
 */
export type MayGoOn = (request: FastifyRequest) => boolean;

/** Refuses foreign hosts, then anything without the token. Runs before the body is read. */
export function authorise(request: FastifyRequest, rules: AuthRules): void {
  if (rules.loopback && !LOOPBACK.test(hostName(request.headers.host ?? ''))) {
    throw new DavyError(
      apiErrors['foreign-host'],
      `The Host header "${clip(request.headers.host ?? '')}" is not this server.`,
    );
  }
  const origin = request.headers.origin;
  if (origin !== undefined && hostOf(origin) !== request.headers.host) {
    throw new DavyError(apiErrors['foreign-host'], `The Origin "${clip(origin)}" is not this server.`);
  }
  if (!isEntitled(request, rules)) throw new DavyError(apiErrors.unauthorised, 'A valid token is missing.');
  const byCookie = !isOpen(request, rules) && bearerOf(request) === undefined;
  if (byCookie && !isReading(request) && request.headers[PAGE_HEADER] === undefined) {
    throw new DavyError(apiErrors['foreign-host'], `A change by cookie needs the header ${PAGE_HEADER}.`);
  }
}

/** Open to everybody, or asked for with the token or in a session that has not ended. */
export function isEntitled(request: FastifyRequest, rules: AuthRules): boolean {
  if (isOpen(request, rules)) return true;
  const given = bearerOf(request);
  return given === undefined ? hasSession(request, rules) : sameSecret(given, rules.token);
}

function bearerOf(request: FastifyRequest): string | undefined {
  return /^Bearer (\S{1,512})$/.exec(request.headers.authorization ?? '')?.[1];
}

/** The page's own files hold nothing secret; what they show comes from the API, which asks who wants it. */
function isOpen(request: FastifyRequest, rules: AuthRules): boolean {
  const path = request.url.split('?', 1)[0] ?? '';
  if (OPEN_CALLS.has(`${request.method} ${path}`)) return true;
  // Decided on the route that will answer, not on the text of the address: encodings and slashes cannot fool it.
  const route = request.routeOptions.url;
  if (route === '/metrics') return rules.loopback;
  return isReading(request) && route === PAGE_ROUTE && isPagePath((request.params as { '*': string })['*']);
}

/** Whether an address (without its first slash) belongs to the page: a file or a deep link, nothing of the API. */
export function isPagePath(path: string): boolean {
  return !/^\/*(api|metrics|healthz|readyz)(\/|$)/i.test(path);
}

function hasSession(request: FastifyRequest, rules: AuthRules): boolean {
  const id = sessionIdOf(request.headers.cookie, portOf(request));
  return id !== null && rules.sessions.find(id) !== null;
}

function isReading(request: FastifyRequest): boolean {
  return request.method === 'GET' || request.method === 'HEAD';
}

/** The port that the request came in on. */
export function portOf(request: FastifyRequest): number {
  return request.socket.localPort ?? 0;
}

/** Compares in constant time; for the route that exchanges the token for a session. */
export function isToken(given: string, rules: Pick<AuthRules, 'token'>): boolean {
  return sameSecret(given, rules.token);
}

/** Who acts: a name that the holder of the token claims, never an address. */
export function actorOf(request: FastifyRequest): Actor {
  const name = request.headers['x-davy-actor'];
  if (name === undefined) return { kind: 'person', id: 'operator' };
  if (typeof name !== 'string' || !ACTOR.test(name)) {
    throw new DavyError(
      apiErrors['invalid-request'],
      'x-davy-actor takes 1 to 64 letters, digits, dots, dashes or underscores.',
    );
  }
  return { kind: 'person', id: name };
}

/** Compares digests, so that neither content nor length of the secret shows in the time taken. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function hostName(host: string): string {
  return host.replace(/:\d+$/, '');
}

function hostOf(origin: string): string | null {
  try {
    return new URL(origin).host;
  } catch {
    return null;
  }
}

function clip(text: string): string {
  return text.slice(0, 100);
}
