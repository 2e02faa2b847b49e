/**
 * The side of the process that leaves: starts its successor, hands it the listening sockets and what it knows, and tells it what is still
 * counted here until the last request is answered.
 */
import { type ChildProcess, fork } from 'node:child_process';
import type net from 'node:net';
import { limits } from '../limits.ts';
import type { Plane } from '../plane.ts';
import type { Estate, EstateSocket } from './estate.ts';
import type { FromPredecessor, FromSuccessor } from './messages.ts';

export class Successor {
  private readonly process: ChildProcess;
  private readonly gone: Promise<never>;

  private constructor(entry: string, args: string[]) {
    // A session of its own: whoever ends this process's group must not end its successor.
    this.process = fork(entry, args, { detached: true, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.gone = new Promise((_, reject) => {
      this.process.once('error', reject);
      this.process.once('exit', () => reject(new Error('the successor ended')));
    });
    this.gone.catch(() => {});
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** Resolves when the process runs and waits for its heritage; it serves nothing yet. */
  static async start(entry: string, args: string[]): Promise<Successor> {
    const successor = new Successor(entry, args);
    try {
      await successor.says('ready');
      return successor;
    } catch (error) {
      successor.kill();
      throw error;
    }
  }

  /** Resolves when the successor serves: it listens, its table is in force, its admin address is published. */
  async takeOver(estate: Estate, sockets: EstateSocket[]): Promise<void> {
    for (const { engine, address, handle } of sockets) {
      this.send({ socket: { engine, address } }, handle as unknown as net.Server);
    }
    this.send({ estate });
    await this.says('serving');
  }

  /** Answers what the successor asks while `plane` finishes its last requests. */
  accompany(plane: Plane): void {
    this.process.on('message', (message: FromSuccessor) => {
      if ('ask' in message) {
        const answer = (reports: Awaited<ReturnType<Plane['reports']>>): void =>
          this.send({ reports, answer: message.ask });
        plane.reports().then(answer, () => {});
      } else if ('follow' in message) {
        plane.follow(message.follow).catch(() => {});
      }
    });
  }

  /** Everything this process counted, now that nothing is added any more. Resolves when it was sent. */
  async settle(plane: Plane): Promise<void> {
    const lastReports = await plane.reports();
    await new Promise<void>((resolve) => {
      this.process.send({ lastReports } satisfies FromPredecessor, () => resolve());
    });
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }

  private send(message: FromPredecessor, handle?: net.Server): void {
    if (this.process.connected) this.process.send(message, handle, () => {});
  }

  private async says(word: 'ready' | 'serving'): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const said = new Promise<void>((resolve, reject) => {
      const hear = (message: FromSuccessor): void => {
        if (word in message) resolve();
        else if ('refused' in message) reject(new Error(message.refused));
        else return;
        this.process.off('message', hear);
      };
      this.process.on('message', hear);
      const late = (): void => reject(new Error(`the successor was not ${word} within ${limits.successionMs} ms`));
      timer = setTimeout(late, limits.successionMs);
    });
    await Promise.race([said, this.gone]).finally(() => clearTimeout(timer));
  }
}
