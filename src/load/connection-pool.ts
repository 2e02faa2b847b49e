import { Connection, type OutgoingRequest, type TransportFailure } from './connection.ts';
import type { Answer } from './response-reader.ts';

/** One request on its way. */
export interface Job {
  target: number;
  /** When the schedule wanted it sent, and when it was (monotonic ms). */
  intendedMs: number;
  sentMs: number;
  request: OutgoingRequest;
  resent: boolean;
}

export interface PoolEvents {
  answered(job: Job, answer: Answer): void;
  failed(job: Job, failure: TransportFailure): void;
}

/** Bytes are consumed before the callback returns, so all connections read into one buffer. */
const readBuffer = Buffer.allocUnsafe(64 * 1024);

/** Keep-alive connections to one origin. A request that finds none free waits in line; its clock already runs. */
export class ConnectionPool {
  readonly #address: { host: string; port: number };
  readonly #max: number;
  readonly #events: PoolEvents;
  readonly #now: () => number;
  readonly #idle: Connection[] = [];
  readonly #busy = new Map<Connection, Job>();
  #waiting: Job[] = [];
  #waitingHead = 0;
  #open = 0;

  constructor(address: { host: string; port: number }, max: number, now: () => number, events: PoolEvents) {
    this.#address = address;
    this.#max = max;
    this.#now = now;
    this.#events = events;
  }

  get outstanding(): number {
    return this.#busy.size + this.#waiting.length - this.#waitingHead;
  }

  submit(job: Job): void {
    const connection = this.#idle.pop() ?? (this.#open < this.#max ? this.#connect() : null);
    if (connection === null) this.#waiting.push(job);
    else this.#send(connection, job);
  }

  /** Takes every request out whose time is up at `nowMs`; a connection whose answer is late is closed. */
  expire(nowMs: number, timeoutMs: number): Job[] {
    const late: Job[] = [];
    for (const [connection, job] of this.#busy) {
      if (nowMs - job.intendedMs < timeoutMs) continue;
      this.#busy.delete(connection);
      connection.destroy();
      this.#open--;
      late.push(job);
    }
    while (this.#waitingHead < this.#waiting.length) {
      if (nowMs - this.#waiting[this.#waitingHead]!.intendedMs < timeoutMs) break;
      late.push(this.#nextWaiting()!);
    }
    for (let room = this.#max - this.#open; room > 0; room--) {
      const job = this.#nextWaiting();
      if (job === null) break;
      this.#send(this.#connect(), job);
    }
    return late;
  }

  close(): void {
    for (const connection of [...this.#idle, ...this.#busy.keys()]) connection.destroy();
    this.#idle.length = 0;
    this.#busy.clear();
  }

  #connect(): Connection {
    this.#open++;
    return new Connection(this.#address, readBuffer, {
      answer: (connection, answer) => this.#answered(connection, answer),
      failed: (connection, failure, unsent) => this.#failed(connection, failure, unsent),
      closed: (connection) => {
        this.#open--;
        const index = this.#idle.indexOf(connection);
        if (index !== -1) this.#idle.splice(index, 1);
      },
    });
  }

  #send(connection: Connection, job: Job): void {
    job.sentMs = this.#now();
    this.#busy.set(connection, job);
    connection.send(job.request);
  }

  #answered(connection: Connection, answer: Answer): void {
    const job = this.#busy.get(connection);
    this.#busy.delete(connection);
    if (answer.keepAlive) this.#reuse(connection);
    else this.#replaceLost();
    if (job !== undefined) this.#events.answered(job, answer);
  }

  #reuse(connection: Connection): void {
    const next = this.#nextWaiting();
    if (next === null) this.#idle.push(connection);
    else this.#send(connection, next);
  }

  #failed(connection: Connection, failure: TransportFailure, unsent: boolean): void {
    const job = this.#busy.get(connection);
    this.#busy.delete(connection);
    this.#replaceLost();
    if (job === undefined) return;
    if (unsent && !job.resent) {
      job.resent = true;
      this.submit(job);
    } else {
      this.#events.failed(job, failure);
    }
  }

  /** A connection is gone: its place goes to a request that waits. */
  #replaceLost(): void {
    this.#open--;
    const next = this.#nextWaiting();
    if (next !== null) this.#send(this.#connect(), next);
  }

  #nextWaiting(): Job | null {
    const job = this.#waiting[this.#waitingHead];
    if (job === undefined) return null;
    this.#waitingHead++;
    if (this.#waitingHead > 1024 && this.#waitingHead * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#waitingHead);
      this.#waitingHead = 0;
    }
    return job;
  }
}
