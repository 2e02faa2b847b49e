import { type ChildProcess, fork } from 'node:child_process';
import type net from 'node:net';
import { limits } from '../limits.ts';
import { TableRefused } from '../plane.ts';
import type { SocketHandle } from '../succession/estate.ts';
import type { AnswerMessage, CallMessage, SocketMessage, WorkerCalls, WorkerReport } from './protocol.ts';

const CALL_TIMEOUT_MS = 5_000;
/** The same for the first call, which waits for the process to start. */
const FIRST_CALL_TIMEOUT_MS = limits.successionMs;

/** One worker as its parent sees it. */
export class WorkerProcess {
  readonly process: ChildProcess;
  lastReport: WorkerReport | null = null;
  /** Which of the gateway's places it has. */
  readonly place: number;
  private nextId = 1;
  private hasAnswered = false;
  private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();

  constructor(
    start: { entry: string; args: string[]; env: NodeJS.ProcessEnv; place: number },
    on: { exit: (worker: WorkerProcess) => void; socket: (address: string, handle: SocketHandle) => void },
  ) {
    const { entry, args, env } = start;
    this.place = start.place;
    this.process = fork(entry, args, {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.process.on('message', (message: AnswerMessage | SocketMessage, handle: unknown) => {
      if ('socket' in message) on.socket(message.socket, handle as SocketHandle);
      else this.settle(message);
    });
    this.process.on('error', () => {});
    this.process.on('exit', () => {
      for (const { reject } of this.waiting.values()) reject(new Error('the worker ended'));
      this.waiting.clear();
      on.exit(this);
    });
  }

  /** Hands it a listening socket; used by the next `adopt`. */
  lend(address: string, handle: SocketHandle): void {
    const message: SocketMessage = { socket: address };
    this.process.send(message, handle as unknown as net.Server, () => {});
  }

  call<K extends keyof WorkerCalls>(
    call: K,
    argument: Parameters<WorkerCalls[K]>[0],
    timeoutMs = this.hasAnswered ? CALL_TIMEOUT_MS : FIRST_CALL_TIMEOUT_MS,
  ): ReturnType<WorkerCalls[K]> {
    const id = this.nextId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`the worker did not answer ${call} within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const end = (): void => {
        clearTimeout(timer);
        this.waiting.delete(id);
      };
      this.waiting.set(id, {
        resolve: (value) => {
          end();
          resolve(value);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      });
      const message: CallMessage = { id, call, argument };
      this.process.send(message, (error) => {
        if (error !== null) this.waiting.get(id)?.reject(error);
      });
    });
    return answer as ReturnType<WorkerCalls[K]>;
  }

  private settle({ id, value, error }: AnswerMessage): void {
    this.hasAnswered = true;
    const waiting = this.waiting.get(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(error.code === null ? new Error(error.message) : new TableRefused(error.code, error.message));
  }
}
