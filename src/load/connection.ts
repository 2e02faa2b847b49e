import { createConnection, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { connectFailure, type TransportFailure, type Unanswered } from './failures.ts';
import { type Answer, ResponseReader } from './response-reader.ts';

export interface ConnectionEvents {
  answered(connection: Connection, job: Job, answer: Answer): void;
  /** `unsent`: the server closed an idle connection just as it was used again; nothing was processed. */
  failed(connection: Connection, job: Job, failure: TransportFailure, unsent: boolean): void;
  /** Closed while idle. */
  closed(connection: Connection): void;
}

/** Where a connection goes. */
export interface Address {
  host: string;
  port: number;
  /** Null: cleartext. */
  tls: TlsAddress | null;
  /** False: every request gets a connection of its own. */
  keepAlive: boolean;
}

export interface TlsAddress {
  /**
   * The name that the certificate must have, and that is sent as server name indication (RFC 6066 section 3). Null: the host's, which may be an IP
   * address and is then not sent.
   */
  serverName: string | null;
  /** PEM certificates that are trusted instead of Node's own list. */
  ca: string | null;
  /** Whether the server's certificate is checked. */
  verify: boolean;
}

export interface OutgoingRequest {
  bytes: Buffer;
  noBody: boolean;
  keepBody: boolean;
}

/** One request on its way. */
export interface Job {
  target: number;
  /** When the schedule wanted it sent (monotonic ms), how much later the generator got to it, and when it was sent. */
  intendedMs: number;
  lagMs: number;
  sentMs: number;
  request: OutgoingRequest;
  resent: boolean;
}

/** One connection that carries one request at a time. Node's own HTTP client costs four times as much. */
export class Connection {
  readonly #socket: Socket;
  readonly #reader: ResponseReader;
  readonly #events: ConnectionEvents;
  readonly #keepAlive: boolean;
  #job: Job | null = null;
  /** The port has answered; requests can be sent. Without TLS both come at once. */
  #reached = false;
  #ready = false;
  #served = 0;
  #over = false;

  constructor(address: Address, buffer: Buffer, events: ConnectionEvents) {
    this.#events = events;
    this.#keepAlive = address.keepAlive;
    this.#reader = new ResponseReader((answer) => this.#answered(answer));
    this.#socket = open(address, buffer, (bytes, length) => this.#received(bytes, length));
    this.#socket.once('connect', () => {
      this.#reached = true;
      this.#ready = address.tls === null;
    });
    this.#socket.once('secureConnect', () => {
      this.#ready = true;
    });
    this.#socket.once('end', () => this.#ended());
    this.#socket.once('error', (error: NodeJS.ErrnoException) => this.#lost(error.code));
    this.#socket.once('close', () => this.#lost(undefined));
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

  /** Gives up: no further event follows. Returns what its request was still waiting for. */
  destroy(): Unanswered {
    this.#over = true;
    this.#job = null;
    this.#socket.destroy();
    return this.#ready ? 'timeout' : this.#reached ? 'tls' : 'connect';
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
    if (!(answer.keepAlive && this.#keepAlive)) {
      this.#over = true;
      this.#socket.end();
    }
    this.#events.answered(this, job, answer);
  }

  #ended(): void {
    if (this.#over || !this.#reader.end()) this.#lost(undefined);
  }

  #lost(code: string | undefined): void {
    if (this.#over) return;
    if (this.#ready) this.#fail('reset', this.#served > 0 && !this.#reader.begun);
    else this.#fail(connectFailure(code, this.#reached), false);
  }

  #fail(failure: TransportFailure, unsent: boolean): void {
    if (this.#over) return;
    const job = this.#job;
    this.destroy();
    if (job === null) this.#events.closed(this);
    else this.#events.failed(this, job, failure, unsent);
  }
}

/** Cleartext connections all read into one buffer: what came is consumed before the callback returns. With TLS Node owns the memory. */
function open(address: Address, buffer: Buffer, received: (bytes: Buffer, length: number) => void): Socket {
  const { host, port, tls } = address;
  if (tls !== null) {
    const socket = connectTls({
      ...{ host, port, rejectUnauthorized: tls.verify, ALPNProtocols: ['http/1.1'] },
      ...(tls.serverName === null ? {} : { servername: tls.serverName }),
      ...(tls.ca === null ? {} : { ca: tls.ca }),
    });
    socket.on('data', (bytes) => received(bytes, bytes.length));
    return socket.setNoDelay(true);
  }
  const callback = (bytesRead: number): boolean => {
    received(buffer, bytesRead);
    return true;
  };
  return createConnection({ host, port, noDelay: true, onread: { buffer, callback } });
}
