import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { Actor } from '../ledger/record.ts';
import { DavyError } from '../lib/error.ts';
import { apiErrors } from './errors.ts';

/** Paths that answer without a token. Everything else is refused by default. */
const OPEN_PATHS = new Set(['/healthz', '/readyz']);
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/;
const ACTOR = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export interface AuthRules {
  token: string;
  /** The server listens on a loopback address: its metrics need no token, and only loopback names may address it. */
  loopback: boolean;
}

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
  const path = request.url.split('?', 1)[0] ?? '';
  if (OPEN_PATHS.has(path) || (path === '/metrics' && rules.loopback)) return;
  const given = /^Bearer (\S{1,512})$/.exec(request.headers.authorization ?? '')?.[1];
  if (given === undefined || !sameSecret(given, rules.token)) {
    throw new DavyError(apiErrors.unauthorised, 'A valid token is missing.');
  }
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
