import { createConnection, type Socket } from 'node:net';
import { type Answer, ResponseReader } from './response-reader.ts';

/** How a request without an answer ended. */
export type TransportFailure = 'connect' | 'reset' | 'bad-response';

export interface ConnectionEvents {
  answered(connection: Connection, job: Job, answer: Answer): void;
  /** `unsent`: the server closed an idle connection just as it was used again; nothing was processed. */
  failed(connection: Connection, job: Job, failure: TransportFailure, unsent: boolean): void;
  /** Closed while idle. */
  closed(connection: Connection): void;
}

export interface OutgoingRequest {
  bytes: Buffer;
  noBody: boolean;
  keepBody: boolean;
}

/** One request on its way. */
export interface Job {
  target: number;
  /** When the schedule wanted it sent, and when it was (monotonic ms). */
  intendedMs: number;
  sentMs: number;
  request: OutgoingRequest;
  resent: boolean;
}

/** One keep-alive connection that carries one request at a time. Node's own HTTP client costs four times as much. */
export class Connection {
  readonly #socket: Socket;
  readonly #reader: ResponseReader;
  readonly #events: ConnectionEvents;
  #job: Job | null = null;
  #connected = false;
  #served = 0;
  #over = false;

  constructor(address: { host: string; port: number }, buffer: Buffer, events: ConnectionEvents) {
    this.#events = events;
    this.#reader = new ResponseReader((answer) => this.#answered(answer));
    this.#socket = createConnection({
      ...address,
      noDelay: true,
      onread: {
        buffer,
        callback: (bytesRead) => {
          this.#received(buffer, bytesRead);
          return true;
        },
      },
    });
    this.#socket.once('connect', () => {
      this.#connected = true;
    });
    this.#socket.once('end', () => this.#ended());
    this.#socket.once('error', () => this.#lost());
    this.#socket.once('close', () => this.#lost());
  }

  /** The request that has no answer yet. */
  get job(): Job | null {
    return this.#job;
  }

  send(job: Job): void {
    const { request } = job;
    this.#job = job;
    this.#reader.expectNoBody = request.noBody;
    this.#reader.keepBody = request.keepBody;
    this.#socket.write(request.bytes);
  }

  /** Gives up: no further event follows. */
  destroy(): void {
    this.#over = true;
    this.#job = null;
    this.#socket.destroy();
  }

  #received(bytes: Buffer, length: number): void {
    if (this.#over) return;
    try {
      this.#reader.push(bytes, length);
    } catch {
      this.#fail('bad-response', false);
    }
  }

  #answered(answer: Answer): void {
    const job = this.#job;
    if (job === null) {
      // An answer that nobody asked for: the connection cannot be trusted any more.
      this.#fail('bad-response', false);
      return;
    }
    this.#job = null;
    this.#served++;
    if (!answer.keepAlive) {
      this.#over = true;
      this.#socket.end();
    }
    this.#events.answered(this, job, answer);
  }

  #ended(): void {
    if (this.#over || !this.#reader.end()) this.#lost();
  }

  #lost(): void {
    if (this.#over) return;
    if (this.#connected) this.#fail('reset', this.#served > 0 && !this.#reader.begun);
    else this.#fail('connect', false);
  }

  #fail(failure: TransportFailure, unsent: boolean): void {
    if (this.#over) return;
    const job = this.#job;
    this.destroy();
    if (job === null) this.#events.closed(this);
    else this.#events.failed(this, job, failure, unsent);
  }
}
