/** The side of the successor: receives its heritage, and adds up what the process that leaves still counts. */
import type { RoutingTable } from '../../traffic/model.ts';
import { type ServiceReport, withoutGauges } from '../stats/report.ts';
import type { Estate, EstateSocket, SocketHandle } from './estate.ts';
import type { FromPredecessor, FromSuccessor } from './messages.ts';

const ANSWER_WITHIN_MS = 1_000;
const COLLECT_EVERY_MS = 200;

/** What was before this process. */
export interface Past {
  /** What the processes before this one counted so far. */
  reports(): Promise<ServiceReport[]>;
  /** The last requests of the process that leaves are routed by this table. */
  follow(table: RoutingTable): void;
  /** Resolves when the process before has ended; after `withinMs` it is killed. */
  ended(withinMs: number): Promise<void>;
}

export const noPast: Past = { reports: async () => [], follow: () => {}, ended: async () => {} };

export interface Heritage {
  estate: Estate;
  sockets: EstateSocket[];
  past: Past;
}

/** Waits for what the parent hands over. When the parent dies before, this process ends: the gateway is started anew. */
export async function receiveHeritage(): Promise<Heritage> {
  const sockets: EstateSocket[] = [];
  const orphaned = (): never => process.exit(1);
  process.once('disconnect', orphaned);
  const received = new Promise<Estate>((resolve) => {
    process.on('message', function hear(message: FromPredecessor, handle: unknown) {
      if ('socket' in message) sockets.push({ ...message.socket, handle: handle as SocketHandle });
      if (!('estate' in message)) return;
      process.off('message', hear);
      resolve(message.estate);
    });
  });
  tell({ ready: true });
  const estate = await received;
  process.off('disconnect', orphaned);
  return { estate, sockets, past: new Predecessor() };
}

/** `null`: this process serves. Otherwise why it cannot. */
export function answerPredecessor(problem: string | null): void {
  tell(problem === null ? { serving: true } : { refused: problem });
}

function tell(message: FromSuccessor): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

class Predecessor implements Past {
  private readonly pid = process.ppid;
  private last: ServiceReport[] = [];
  private asked = 0;
  private hasLeft = false;
  private readonly waiting = new Map<number, () => void>();
  private readonly left: Promise<void>;
  private readonly collector: NodeJS.Timeout;

  constructor() {
    // Should it be killed, what it counted since the last question is lost.
    this.collector = setInterval(() => void this.reports(), COLLECT_EVERY_MS).unref();
    this.left = new Promise((resolve) => {
      const leave = (): void => {
        if (this.hasLeft) return;
        this.hasLeft = true;
        this.last = withoutGauges(this.last);
        clearInterval(this.collector);
        for (const wake of this.waiting.values()) wake();
        resolve();
      };
      process.on('message', (message: FromPredecessor) => {
        if ('reports' in message) this.hear(message.answer, message.reports);
        if (!('lastReports' in message)) return;
        this.last = message.lastReports;
        leave();
      });
      process.once('disconnect', leave);
      if (!process.connected) leave();
    });
  }

  private hear(answer: number, reports: ServiceReport[]): void {
    const wake = this.waiting.get(answer);
    // An answer that comes too late may be older than the one in hand.
    if (wake === undefined || this.hasLeft) return;
    this.last = reports;
    wake();
  }

  async reports(): Promise<ServiceReport[]> {
    if (this.hasLeft) return this.last;
    const id = ++this.asked;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.waiting.set(id, resolve);
      timer = setTimeout(resolve, ANSWER_WITHIN_MS);
      tell({ ask: id });
    });
    clearTimeout(timer);
    this.waiting.delete(id);
    return this.last;
  }

  follow(table: RoutingTable): void {
    if (!this.hasLeft) tell({ follow: table });
  }

  async ended(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(true), withinMs);
    });
    const tooLong = await Promise.race([this.left.then(() => false), late]);
    clearTimeout(timer);
    if (tooLong && process.ppid === this.pid) process.kill(this.pid, 'SIGKILL');
  }
}
