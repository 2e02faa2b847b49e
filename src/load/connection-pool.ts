import { type Address, Connection, type Job } from './connection.ts';
import type { TransportFailure, Unanswered } from './failures.ts';
import type { Answer } from './response-reader.ts';

export interface PoolEvents {
  answered(job: Job, answer: Answer): void;
  failed(job: Job, failure: TransportFailure): void;
  /** A request that found no connection free got one, or gave up, after this time. */
  waited(job: Job, ms: number): void;
}

/** A request whose time is up, and what it was waiting for. */
interface Expired {
  job: Job;
  failure: Unanswered;
}

/** Bytes are consumed before the callback returns, so all connections read into one buffer. */
const readBuffer = Buffer.allocUnsafe(64 * 1024);

/** Connections to one origin. A request that finds none free waits in line; its clock already runs. */
export class ConnectionPool {
  readonly #address: Address;
  readonly #max: number;
  readonly #events: PoolEvents;
  readonly #now: () => number;
  /**
   * Every open connection, and those without a request. A map from connection to request would be rebuilt every few
   * requests, and each rebuilt table keeps the one before alive: garbage collection then takes ten times as long.
   */
  readonly #open: Connection[] = [];
  readonly #idle: Connection[] = [];
  #waiting: Job[] = [];
  #waitingHead = 0;

  constructor(address: Address, max: number, now: () => number, events: PoolEvents) {
    this.#address = address;
    this.#max = max;
    this.#now = now;
    this.#events = events;
  }

  get outstanding(): number {
    return this.#open.length - this.#idle.length + this.#waiting.length - this.#waitingHead;
  }

  submit(job: Job): void {
    const connection = this.#idle.pop() ?? (this.#open.length < this.#max ? this.#connect() : null);
    if (connection === null) this.#waiting.push(job);
    else connection.send(job);
  }

  /** Takes every request out whose time is up at `nowMs`; a connection whose answer is late is closed. */
  expire(nowMs: number, timeoutMs: number): Expired[] {
    const late: Expired[] = [];
    for (let i = this.#open.length - 1; i >= 0; i--) {
      const connection = this.#open[i]!;
      const { job } = connection;
      if (job === null || nowMs - job.intendedMs < timeoutMs) continue;
      const failure = connection.destroy();
      this.#open.splice(i, 1);
      late.push({ job, failure });
    }
    while (this.#waitingHead < this.#waiting.length) {
      if (nowMs - this.#waiting[this.#waitingHead]!.intendedMs < timeoutMs) break;
      const job = this.#nextWaiting()!;
      this.#events.waited(job, nowMs - job.sentMs);
      late.push({ job, failure: 'pool' });
    }
    for (let room = this.#max - this.#open.length; room > 0; room--) {
      const job = this.#nextWaiting();
      if (job === null) break;
      this.#send(this.#connect(), job);
    }
    return late;
  }

  close(): void {
    for (const connection of this.#open) connection.destroy();
    this.#open.length = 0;
    this.#idle.length = 0;
  }

  #connect(): Connection {
    const connection = new Connection(this.#address, readBuffer, {
      answered: (sender, job, answer) => this.#answered(sender, job, answer),
      failed: (sender, job, failure, unsent) => this.#failed(sender, job, failure, unsent),
      closed: (sender) => {
        remove(this.#open, sender);
        remove(this.#idle, sender);
      },
    });
    this.#open.push(connection);
    return connection;
  }

  /** One that had to wait. */
  #send(connection: Connection, job: Job): void {
    const nowMs = this.#now();
    this.#events.waited(job, nowMs - job.sentMs);
    job.sentMs = nowMs;
    connection.send(job);
  }

  #answered(connection: Connection, job: Job, answer: Answer): void {
    if (answer.keepAlive && this.#address.keepAlive) this.#reuse(connection);
    else this.#replaceLost(connection);
    this.#events.answered(job, answer);
  }

  #reuse(connection: Connection): void {
    const next = this.#nextWaiting();
    if (next === null) this.#idle.push(connection);
    else this.#send(connection, next);
  }

  #failed(connection: Connection, job: Job, failure: TransportFailure, unsent: boolean): void {
    this.#replaceLost(connection);
    if (unsent && !job.resent) {
      job.resent = true;
      job.sentMs = this.#now();
      this.submit(job);
    } else {
      this.#events.failed(job, failure);
    }
  }

  /** A connection is gone: its place goes to a request that waits. */
  #replaceLost(connection: Connection): void {
    remove(this.#open, connection);
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

function remove(from: Connection[], connection: Connection): void {
  const index = from.indexOf(connection);
  if (index !== -1) from.splice(index, 1);
}
