import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from 'undici';
import { DavyError, type ErrorKind, messageOf } from '../lib/error.ts';
import { trafficErrors } from './errors.ts';

/** What a running gateway writes into its run folder. The token never goes into logs or the ledger. */
export interface GatewayConnection {
  pid: number;
  /** With the pid it says which process this is; absent where the system does not tell. */
  startTime?: string | null;
  startedAtMs: number;
  bootId: string;
  adminHost: string;
  adminPort: number;
  token: string;
}

/** A run folder, read again whenever a call cannot reach the gateway, or one fixed connection. */
export type GatewayAddress = { runDir: string } | { connection: GatewayConnection };

/** One admin call takes at most this long; a lost answer is an error, and every call may be repeated. */
const CALL_TIMEOUT_MS = 2_000;
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** Reads `gateway.json` of a run folder. Throws `traffic/no-gateway` when there is none. */
export function readGatewayConnection(runDir: string): GatewayConnection {
  const file = join(runDir, 'gateway.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as GatewayConnection;
  } catch (error) {
    throw new DavyError(trafficErrors['no-gateway'], `${file} cannot be read: ${messageOf(error)}.`, { cause: error });
  }
}

type Method = 'GET' | 'PUT' | 'POST';

/** The gateway's admin calls, with short time-outs and errors of `traffic/`. */
export class GatewayAdmin {
  private readonly where: GatewayAddress;
  private connection: GatewayConnection | null = null;
  private pool: Pool | null = null;

  constructor(where: GatewayAddress) {
    this.where = where;
  }

  /** Resolves with the answer's JSON; rejects with an error of `traffic/`. */
  async call(method: Method, path: string, body?: unknown): Promise<unknown> {
    const { status, text } = await this.send(method, path, body);
    return this.judge(method, path, status, text);
  }

  /** For a call that takes its time and must not be repeated: one attempt within `withinMs`. */
  async callOnce(method: Method, path: string, withinMs: number): Promise<unknown> {
    const { status, text } = await this.attempt(method, path, undefined, withinMs).catch(async (error: unknown) => {
      await this.close();
      throw unreachable(method, path, error);
    });
    return this.judge(method, path, status, text);
  }

  /** Resolves with the answer's text; only for calls that answer in another format. */
  async text(path: string): Promise<string> {
    const { status, text } = await this.send('GET', path);
    if (status !== 200) this.judge('GET', path, status, text);
    return text;
  }

  private async send(method: Method, path: string, body?: unknown): Promise<{ status: number; text: string }> {
    try {
      return await this.attempt(method, path, body);
    } catch (error) {
      await this.close();
      if (error instanceof DavyError) throw error;
      // A kept connection that the other side had closed, or a gateway that was started anew: every call may be repeated.
      if ((error as Error).name !== 'TimeoutError') return this.attemptAnew(method, path, body);
      throw unreachable(method, path, error);
    }
  }

  private async attemptAnew(method: Method, path: string, body: unknown): Promise<{ status: number; text: string }> {
    try {
      return await this.attempt(method, path, body);
    } catch (error) {
      await this.close();
      throw unreachable(method, path, error);
    }
  }

  private async attempt(
    method: Method,
    path: string,
    body: unknown,
    withinMs = CALL_TIMEOUT_MS,
  ): Promise<{ status: number; text: string }> {
    const { pool, token } = this.open();
    const answer = await pool.request({
      method,
      path,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      headersTimeout: withinMs,
      bodyTimeout: withinMs,
      signal: AbortSignal.timeout(withinMs),
    });
    return { status: answer.statusCode, text: await answer.body.text() };
  }

  private open(): { pool: Pool; token: string } {
    this.connection ??= 'connection' in this.where ? this.where.connection : readGatewayConnection(this.where.runDir);
    const { adminHost, adminPort, token } = this.connection;
    this.pool ??= new Pool(`http://${adminHost}:${adminPort}`, {
      connections: 4,
      connect: { timeout: CALL_TIMEOUT_MS },
      maxResponseSize: MAX_ANSWER_BYTES,
    });
    return { pool: this.pool, token };
  }

  private judge(method: string, path: string, status: number, text: string): unknown {
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      throw new DavyError(trafficErrors['unexpected-answer'], `${method} ${path} answered ${status} without JSON.`);
    }
    if (status >= 200 && status < 300) return body;
    const { code, message } = body as { code?: string; message?: string };
    if (status === 401) void this.close();
    throw new DavyError(kindOf(code), message ?? `${method} ${path} answered ${status}.`);
  }

  async close(): Promise<void> {
    const pool = this.pool;
    this.pool = null;
    this.connection = null;
    await pool?.destroy().catch(() => {});
  }
}

function unreachable(method: Method, path: string, error: unknown): DavyError {
  if (error instanceof DavyError) return error;
  const sentence =
    (error as Error).name === 'TimeoutError'
      ? `The gateway did not answer ${method} ${path} in time.`
      : `The gateway could not be reached for ${method} ${path}: ${messageOf(error)}.`;
  return new DavyError(trafficErrors.unreachable, sentence, { cause: error });
}

function kindOf(code: string | undefined): ErrorKind {
  switch (code) {
    case 'stale-generation':
    case 'generation-conflict':
      return trafficErrors['stale-generation'];
    case 'invalid-table':
    case 'invalid-request':
    case 'too-large':
      return trafficErrors['invalid-table'];
    case 'invalid-fault':
      return trafficErrors['invalid-fault'];
    case 'port-in-use':
      return trafficErrors['port-in-use'];
    case 'restart-failed':
      return trafficErrors['restart-failed'];
    case 'unauthorized':
      return trafficErrors.unauthorized;
    case 'draining':
    case 'starting':
      return trafficErrors.unreachable;
    default:
      return trafficErrors['unexpected-answer'];
  }
}
