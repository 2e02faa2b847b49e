import { createHash, timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../../lib/error.ts';
import type { FaultRule } from '../../traffic/faults.ts';
import type { RoutingTable } from '../../traffic/model.ts';
import { limits } from '../limits.ts';
import { type Plane, TableRefused } from '../plane.ts';
import { Gate } from './gate.ts';
import { BadInput, readNames, readObject } from './input.ts';

export interface AdminServer {
  host: string;
  port: number;
  /** Calls that come from now on wait. Resolves when those before are over. */
  hold(): Promise<void>;
  release(): void;
  close(): void;
}

/** What the process does with itself when it is asked to. */
export interface AdminDuties {
  drain(): void;
  /** Resolves when a successor serves, with what is left to do once the caller has its answer. Rejects when this process goes on. */
  restart(): Promise<{ pid: number; afterwards: () => void }>;
}

interface Answer {
  status: number;
  body: unknown;
  text?: boolean;
  /** Called when the answer has left, or cannot. */
  afterwards?: () => void;
}

/** Ids in one call. */
const MAX_IDS = 1_000;

type Handler = (body: string) => Promise<Answer> | Answer;

/** The admin address: loopback only, every call with the token. */
export async function startAdmin(plane: Plane, token: string, duties: AdminDuties): Promise<AdminServer> {
  const gate = new Gate();
  const handlers = handlersOf(plane, duties, gate);
  const expected = digest(`Bearer ${token}`);
  const server = http.createServer(
    { requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8_192 },
    (request, response) => {
      // A call that fails must not take the traffic down with it.
      serve(request, handlers, expected).then(
        (answer) => send(response, answer),
        (error: unknown) => send(response, { status: 500, body: { code: 'failed', message: messageOf(error) } }),
      );
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    host: '127.0.0.1',
    port,
    hold: () => gate.close(),
    release: () => gate.reopen(),
    close: () => server.close().closeAllConnections(),
  };
}

async function serve(request: http.IncomingMessage, handlers: Map<string, Handler>, expected: Buffer): Promise<Answer> {
  // Compared as digests, so that neither length nor content show in the time.
  if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
    return { status: 401, body: { code: 'unauthorized', message: 'A bearer token is required.' } };
  }
  const handler = handlers.get(`${request.method} ${request.url}`);
  if (handler === undefined) return { status: 404, body: { code: 'not-found', message: 'No such call.' } };
  const body = await readBody(request);
  if (body === null)
    return { status: 413, body: { code: 'too-large', message: `More than ${limits.tableBytes} bytes.` } };
  try {
    return await handler(body);
  } catch (error) {
    if (error instanceof TableRefused) return refusal(error);
    if (error instanceof BadInput) return { status: 400, body: { code: 'invalid-request', message: error.message } };
    throw error;
  }
}

function refusal({ code, message }: TableRefused): { status: number; body: { code: string; message: string } } {
  return { status: STATUS_OF[code], body: { code, message } };
}

function handlersOf(plane: Plane, duties: AdminDuties, gate: Gate): Map<string, Handler> {
  const gated = planeHandlers(plane).map(([name, act]): [string, Handler] => [
    name,
    (body) => gate.pass(() => act(body)),
  ]);
  return new Map<string, Handler>([
    ...gated,
    [
      'POST /drain',
      () => {
        setImmediate(() => duties.drain());
        return { status: 202, body: { draining: true } };
      },
    ],
    ['POST /restart', () => restart(duties)],
  ]);
}

async function restart(duties: AdminDuties): Promise<Answer> {
  try {
    const { pid, afterwards } = await duties.restart();
    return { status: 200, body: { pid }, afterwards };
  } catch (error) {
    return { status: 409, body: { code: 'restart-failed', message: messageOf(error) } };
  }
}

function planeHandlers(plane: Plane): [string, Handler][] {
  return [
    ['PUT /table', (body) => putTable(plane, body)],
    ['POST /leases', (body) => postLeases(plane, body)],
    ['PUT /faults', (body) => putFaults(plane, body)],
    ['POST /faults/clear', (body) => clearFaults(plane, body)],
    ['GET /faults', async () => ({ status: 200, body: { faults: await plane.faultReports() } })],
    ['GET /state', async () => ({ status: 200, body: await plane.state() })],
    ['GET /counters', async () => ({ status: 200, body: await plane.counters() })],
    ['GET /metrics', async () => ({ status: 200, body: await plane.exposition(), text: true })],
  ];
}

const STATUS_OF: Record<TableRefused['code'], number> = {
  'invalid-table': 400,
  'stale-generation': 409,
  'generation-conflict': 409,
  'port-in-use': 409,
  draining: 503,
  starting: 503,
};

async function putTable(plane: Plane, body: string): Promise<Answer> {
  const table = readObject(body) as unknown as RoutingTable;
  try {
    await plane.apply(table);
    return { status: 200, body: await plane.state() };
  } catch (error) {
    if (!(error instanceof TableRefused)) throw error;
    const { status, body: refused } = refusal(error);
    return { status, body: { ...refused, state: await plane.state().catch(() => null) } };
  }
}

async function putFaults(plane: Plane, body: string): Promise<Answer> {
  const { rules } = readObject(body);
  const problem = Array.isArray(rules) ? await plane.inject(rules as FaultRule[]) : 'rules must be a list';
  if (problem !== null)
    return { status: 400, body: { code: 'invalid-fault', message: `The fault was refused: ${problem}.` } };
  return { status: 200, body: { faults: await plane.faultReports() } };
}

async function clearFaults(plane: Plane, body: string): Promise<Answer> {
  const { ids, all } = readObject(body);
  await plane.clearFaults(all === true ? 'all' : readNames(ids, 'ids (or all: true)', MAX_IDS));
  return { status: 200, body: { faults: await plane.faultReports() } };
}

async function postLeases(plane: Plane, body: string): Promise<Answer> {
  const { ids } = readObject(body);
  return { status: 200, body: { lost: await plane.renew(readNames(ids, 'ids', MAX_IDS)) } };
}

function readBody(request: http.IncomingMessage): Promise<string | null> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    request.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes <= limits.tableBytes) pieces.push(piece);
      else pieces.length = 0;
    });
    request.on('end', () => resolve(bytes > limits.tableBytes ? null : Buffer.concat(pieces).toString('utf8')));
    request.on('error', () => resolve(null));
  });
}

function send(response: http.ServerResponse, answer: Answer): void {
  const body = answer.text === true ? String(answer.body) : JSON.stringify(answer.body);
  const type = answer.text === true ? 'text/plain; version=0.0.4; charset=utf-8' : 'application/json';
  response.writeHead(answer.status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  if (answer.afterwards !== undefined && response.destroyed) answer.afterwards();
  else if (answer.afterwards !== undefined) response.once('close', answer.afterwards);
  response.end(body);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
