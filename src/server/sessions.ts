import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Clock } from '../lib/clock.ts';

/** A session of the page ends after this time, used or not. */
const SESSION_MS = 12 * 3_600_000;
/** Beyond it the oldest session ends. */
const MAX_SESSIONS = 1_000;
const COOKIE = 'davy_session';

/** Who is logged in: random ids, kept as digests, bounded and expiring. */
export interface Sessions {
  /** The new session's secret id and when it ends. */
  open(): { id: string; expiresAtMs: number };
  /** When the session ends (epoch ms), or null when there is none. */
  find(id: string): number | null;
  close(id: string): void;
}

/**
 * `file` (mode 0600, digests only) lets sessions outlive the controller, so that a page comes back by itself after a
 * restart. `salt` is the token where the operator chose it: another token ends all sessions.
 */
export function createSessions(clock: Clock, options: { file: string | null; salt: string }): Sessions {
  const ends = new Map(options.file === null ? [] : kept(options.file));
  const digest = (id: string): string => createHash('sha256').update(`${options.salt}\n${id}`).digest('hex');
  function keep(): void {
    if (options.file === null) return;
    try {
      writeFileSync(options.file, JSON.stringify([...ends]), { mode: 0o600 });
    } catch {
      // A full disk costs a new login after the next restart, nothing else.
    }
  }
  return {
    open() {
      const id = randomBytes(32).toString('base64url');
      const expiresAtMs = clock.nowMs() + SESSION_MS;
      ends.set(digest(id), expiresAtMs);
      if (ends.size > MAX_SESSIONS) ends.delete(ends.keys().next().value as string);
      keep();
      return { id, expiresAtMs };
    },
    find(id) {
      const end = ends.get(digest(id));
      return end !== undefined && end > clock.nowMs() ? end : null;
    },
    close(id) {
      if (ends.delete(digest(id))) keep();
    },
  };
}

/** Sessions of the controller before; none when the file is missing or is not ours. */
function kept(file: string): [string, number][] {
  try {
    const list = JSON.parse(readFileSync(file, 'utf8')) as unknown;
    if (!Array.isArray(list)) return [];
    return list
      .filter(
        (one): one is [string, number] => Array.isArray(one) && typeof one[0] === 'string' && Number.isFinite(one[1]),
      )
      .slice(-MAX_SESSIONS);
  } catch {
    return [];
  }
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
