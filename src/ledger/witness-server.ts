import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { type Disk, writeFileDurably } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import {
  ED25519_COSIGNATURE,
  loadOrCreateSigner,
  type NoteSigner,
  type NoteVerifier,
  verifierKeyText,
} from './keys.ts';
import { nodeDisk } from './node-disk.ts';
import {
  judgeCheckpoint,
  MAX_REQUEST_BYTES,
  originOf,
  parseAddCheckpoint,
  type WitnessAnswer,
  type WitnessMemory,
} from './witness.ts';

export interface WitnessOptions {
  /** Where the key and the last seen checkpoints are kept. Losing it makes the witness forget; retire its key then. */
  dir: string;
  /** Name of the witness's key, a schema-less URL. */
  name: string;
  /** The logs it serves, by their keys; key name = origin. */
  logKeys: NoteVerifier[];
  /** Loopback unless said otherwise. */
  host?: string;
  port: number;
  clock: Clock;
  disk?: Disk;
  onEvent?: (event: { origin: string; status: number; size: number | null }) => void;
}

export interface RunningWitness {
  url: string;
  vkey: string;
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 10_000;

/**
 * A witness: a key and a memory. For every log it remembers the last tree it cosigned and refuses everything that does
 * not extend it. Run it where the ledger's owner has no access, or it proves nothing against the owner.
 */
export async function startWitness(options: WitnessOptions): Promise<RunningWitness> {
  const disk = options.disk ?? nodeDisk;
  await disk.makeDir(`${options.dir}/seen`);
  const signer = await loadOrCreateSigner(disk, `${options.dir}/witness.key`, options.name, ED25519_COSIGNATURE);
  const witness = new Witness(disk, options, signer);
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      witness.handle(request, response).catch((error: unknown) => {
        response.writeHead(500, { 'content-type': 'text/plain' }).end(`${messageOf(error)}\n`);
      });
    },
  );
  server.maxConnections = 100;
  const host = options.host ?? '127.0.0.1';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, host, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  return {
    url: `http://${host}:${port}`,
    vkey: verifierKeyText(signer),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

class Witness {
  readonly #disk: Disk;
  readonly #options: WitnessOptions;
  readonly #signer: NoteSigner;
  /** One request at a time: checking the memory and storing the new one must not interleave. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(disk: Disk, options: WitnessOptions, signer: NoteSigner) {
    this.#disk = disk;
    this.#options = options;
    this.#signer = signer;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url !== '/add-checkpoint') return end(response, 404, 'not found\n');
    if (request.method !== 'POST') return end(response, 405, 'POST only\n');
    const body = await readBody(request);
    if (body === null) return end(response, 413, `a request has at most ${MAX_REQUEST_BYTES} bytes\n`);
    const answer = await this.#inTurn(() => this.#add(body));
    const type = answer.status === 409 ? 'text/x.tlog.size' : 'text/plain; charset=utf-8';
    end(response, answer.status, answer.body, type);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(work);
    this.#turn = run.catch(() => undefined);
    return run;
  }

  async #add(body: string): Promise<WitnessAnswer> {
    const request = parseAddCheckpoint(body);
    const origin = request && originOf(request);
    if (!request || origin === null) return { status: 400, body: 'malformed request\n' };
    const answer = judgeCheckpoint({
      request,
      logKeys: this.#options.logKeys.filter((key) => key.name === origin),
      memory: await this.#recall(origin),
      signer: this.#signer,
      nowMs: this.#options.clock.nowMs(),
    });
    if (answer.status === 200) {
      await writeFileDurably(this.#disk, this.#memoryPath(origin), Buffer.from(JSON.stringify(answer.remember)));
    }
    const size = answer.status === 200 ? answer.remember.size : null;
    this.#options.onEvent?.({ origin, status: answer.status, size });
    return answer;
  }

  #memoryPath(origin: string): string {
    return `${this.#options.dir}/seen/${createHash('sha256').update(origin).digest('hex')}.json`;
  }

  async #recall(origin: string): Promise<WitnessMemory> {
    const path = this.#memoryPath(origin);
    if (!(await this.#disk.stat(path))) return null;
    const memory = JSON.parse((await this.#disk.read(path)).toString('utf8')) as WitnessMemory;
    if (memory?.origin === origin) return memory;
    throw new DavyError(ledgerErrors['bad-checkpoint'], `${path} remembers another log than ${origin}.`);
  }
}

function end(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_REQUEST_BYTES) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
