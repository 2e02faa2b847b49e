import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';

/** A session of the page ends after this time, used or not. */
export const SESSION_MS = 12 * 3_600_000;
/** Beyond it the oldest session ends. */
const MAX_SESSIONS = 1_000;
const COOKIE = 'davy_session';

/** Who is logged in: random ids, kept in memory as digests, bounded and expiring. A restart ends them all. */
export interface Sessions {
  /** The new session's secret id and when it ends. */
  open(): { id: string; expiresAtMs: number };
  /** When the session ends (epoch ms), or null when there is none. */
  find(id: string): number | null;
  close(id: string): void;
}

export function createSessions(clock: Clock): Sessions {
  const ends = new Map<string, number>();
  const digest = (id: string): string => createHash('sha256').update(id).digest('hex');
  return {
    open() {
      const id = randomBytes(32).toString('base64url');
      const expiresAtMs = clock.nowMs() + SESSION_MS;
      ends.set(digest(id), expiresAtMs);
      if (ends.size > MAX_SESSIONS) ends.delete(ends.keys().next().value as string);
      return { id, expiresAtMs };
    },
    find(id) {
      const end = ends.get(digest(id));
      if (end !== undefined && end > clock.nowMs()) return end;
      ends.delete(digest(id));
      return null;
    },
    close(id) {
      ends.delete(digest(id));
    },
  };
}

/** The session id in a Cookie header, or null. Cookies ignore ports, so each port has a name of its own. */
export function sessionIdOf(cookieHeader: string | undefined, port: number): string | null {
  for (const part of (cookieHeader ?? '').slice(0, 8_192).split(';')) {
    const [name, value] = part.trim().split('=', 2);
    if (name === `${COOKIE}_${port}` && value !== undefined && /^[A-Za-z0-9_-]{43}$/.test(value)) return value;
  }
  return null;
}

/** Set-Cookie for a session; an empty id takes the cookie away. Not readable by scripts, never sent from other sites. */
export function sessionCookie(id: string, port: number): string {
  const age = id === '' ? 0 : SESSION_MS / 1000;
  return `${COOKIE}_${port}=${id}; Path=/api; HttpOnly; SameSite=Strict; Max-Age=${age}`;
}
