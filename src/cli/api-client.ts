import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { request } from 'undici';
import { sleep } from '../lib/clock.ts';
import { findEndpoint } from '../lib/endpoint.ts';
import { DavyError, type ErrorKind, type ExitCode, messageOf } from '../lib/error.ts';
import { cliErrors } from './errors.ts';
import type { CliIo } from './io.ts';

export const DEFAULT_PORT = 7070;
const CALL_TIMEOUT_MS = 30_000;
const STARTED_WITHIN_MS = 30_000;
const STARTING_POLL_MS = 200;

/** The running Davy, as a command talks to it. */
export interface ApiClient {
  url: string;
  token: string;
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
}

/** Adds the options by which every client command finds its Davy. */
export function connectionOptions(command: Command): Command {
  return command
    .option('--port <port>', 'port of the running Davy', portNumber, DEFAULT_PORT)
    .option('--url <url>', 'its whole address, instead of --port');
}

export function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw new DavyError(cliErrors.usage, `"${text}" is not a port (0 to 65535).`);
}

export function gatewayCount(text: string): number {
  const count = Number(text);
  if (/^\d{1,2}$/.test(text) && count >= 1 && count <= 64) return count;
  throw new DavyError(cliErrors.usage, `"${text}" is not a number of gateways (1 to 64).`);
}

/** Finds address and token: --url, --port, DAVY_TOKEN, else what `davy up` left for this user. */
export function connect(options: { port: number; url?: string }, io: CliIo): ApiClient {
  const url = (options.url ?? `http://127.0.0.1:${options.port}`).replace(/\/+$/, '');
  const known = findEndpoint(Number(new URL(url).port || 80), io.env);
  const token = io.env.DAVY_TOKEN ?? known?.token ?? '';
  const actor = actorName(io);

  /** A Davy that has just been started says so until it has read its ledger; the key makes asking again safe. */
  async function call<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const key = randomUUID();
    const deadlineMs = io.clock.monoMs() + STARTED_WITHIN_MS;
    for (;;) {
      try {
        return await attempt<T>(method, path, body, key);
      } catch (error) {
        const isStarting = error instanceof DavyError && error.code === 'api/starting';
        if (!isStarting || io.signal.aborted || io.clock.monoMs() > deadlineMs) throw error;
        await sleep(io.clock, STARTING_POLL_MS, io.signal).catch(() => {});
      }
    }
  }

  async function attempt<T>(method: 'GET' | 'POST', path: string, body: unknown, key: string): Promise<T> {
    const headers: Record<string, string> = { authorization: `Bearer ${token}`, 'x-davy-actor': actor };
    if (body !== undefined) {
      headers['content-type'] = 'application/json';
      headers['idempotency-key'] = key;
    }
    const options = { method, headers, headersTimeout: CALL_TIMEOUT_MS, bodyTimeout: CALL_TIMEOUT_MS };
    const answer = await request(
      `${url}${path}`,
      body === undefined ? options : { ...options, body: JSON.stringify(body) },
    ).catch((error: unknown) => {
      throw new DavyError(cliErrors.unreachable, `No Davy answers at ${url} (${messageOf(error)}).`, { cause: error });
    });
    const document = (await answer.body.json().catch(() => null)) as unknown;
    if (answer.statusCode < 300) return document as T;
    if (answer.statusCode === 401 && token === '') {
      throw new DavyError(cliErrors['no-token'], `A Davy answers at ${url}, but its token is not known here.`);
    }
    throw fromAnswer(document, answer.statusCode);
  }

  return {
    url,
    token,
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
  };
}

const ACTOR = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Who acts, as the ledger will name them: DAVY_ACTOR, else the login name. Throws `cli/usage` for what is no name. */
export function actorName(io: CliIo): string {
  const given = io.env.DAVY_ACTOR;
  if (given && !ACTOR.test(given)) {
    const sentence = 'DAVY_ACTOR takes 1 to 64 letters, digits, dots, dashes or underscores.';
    throw new DavyError(cliErrors.usage, sentence);
  }
  if (given) return given;
  const name = userInfo()
    .username.replace(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 64);
  return /^[A-Za-z0-9]/.test(name) ? name : 'operator';
}

/** The API's error as if it had happened here: same code, sentence and exit code. */
function fromAnswer(document: unknown, status: number): DavyError {
  const error = (document as { error?: { code: string; sentence: string; next: string; exit: ExitCode } } | null)
    ?.error;
  if (!error) return new DavyError(cliErrors.unreachable, `Something other than Davy answers here (HTTP ${status}).`);
  const kind: ErrorKind = { code: error.code, means: error.sentence, next: error.next, exit: error.exit, http: status };
  return new DavyError(kind, error.sentence);
}
