import { type ChildProcess, fork } from 'node:child_process';
import type net from 'node:net';
import { limits } from '../limits.ts';
import { TableRefused } from '../plane.ts';
import type { SocketHandle } from '../succession/estate.ts';
import type {
  AnswerMessage,
  BackMessage,
  FromWorker,
  SocketMessage,
  ToWorker,
  WorkerCalls,
  WorkerReport,
} from './protocol.ts';

/** From its start until it hears; a machine that is busy takes its time. */
const START_WITHIN_MS = 30_000;
/** From then on, for one call. */
const CALL_TIMEOUT_MS = 5_000;
const RECALL_WITHIN_MS = 100;
/** The same for the first call, which waits for the process to start. */
const FIRST_CALL_TIMEOUT_MS = limits.successionMs;

/** One worker as its parent sees it. */
export class WorkerProcess {
  readonly process: ChildProcess;
  lastReport: WorkerReport | null = null;
  /** It answers, and what is in force is in force in it: set by the hub. */
  serves = false;
  private readonly hears = Promise.withResolvers<void>();
  /** Which of the gateway's places it has. */
  readonly place: number;
  private nextId = 1;
  private hasAnswered = false;
  private readonly recalls = new Map<number, (units: number) => void>();
  private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();

  constructor(
    start: { entry: string; args: string[]; env: NodeJS.ProcessEnv; place: number },
    on: {
      exit: (worker: WorkerProcess) => void;
      socket: (address: string, handle: SocketHandle) => void;
      ask: (worker: WorkerProcess, key: string, need: number, left: number) => void;
      /** Units that came back too late for the question they were wanted for. */
      lateBack: (worker: WorkerProcess, key: string, units: number) => void;
    },
  ) {
    const { entry, args, env } = start;
    this.place = start.place;
    this.process = fork(entry, args, {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.process.on('message', (message: FromWorker, handle: unknown) => {
      if ('ready' in message) this.hears.resolve();
      else if ('socket' in message) on.socket(message.socket, handle as SocketHandle);
      else if ('ask' in message) on.ask(this, message.ask, message.need, message.left);
      else if ('back' in message) this.back(message, on.lateBack);
      else this.settle(message);
    });
    this.process.on('error', () => {});
    const late = setTimeout(() => this.process.kill('SIGKILL'), START_WITHIN_MS);
    this.hears.promise.catch(() => {}).finally(() => clearTimeout(late));
    this.process.on('exit', () => {
      this.serves = false;
      this.hears.reject(new Error('the worker ended'));
      for (const { reject } of this.waiting.values()) reject(new Error('the worker ended'));
      this.waiting.clear();
      for (const resolve of this.recalls.values()) resolve(0);
      this.recalls.clear();
      on.exit(this);
    });
  }

  /** Hands it a listening socket; used by the next `adopt`. */
  lend(address: string, handle: SocketHandle): void {
    const message: SocketMessage = { socket: address };
    this.process.send(message, handle as unknown as net.Server, () => {});
  }

  /** Resolves when it answers; rejects when it ended before. */
  ready(): Promise<void> {
    return this.hears.promise;
  }

  tell(message: ToWorker): void {
    if (this.process.connected) this.process.send(message, () => {});
  }

  /** Asks for what it has at hand of a limit; resolves with 0 when it does not answer at once. */
  recall(key: string): Promise<number> {
    const number = this.nextId++;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.recalls.get(number)?.(0), RECALL_WITHIN_MS);
      this.recalls.set(number, (units) => {
        clearTimeout(timer);
        this.recalls.delete(number);
        resolve(units);
      });
      this.tell({ recall: key, number });
    });
  }

  private back(
    { back, number, units }: BackMessage,
    late: (worker: WorkerProcess, key: string, units: number) => void,
  ): void {
    const wanted = this.recalls.get(number);
    if (wanted === undefined) late(this, back, units);
    else wanted(units);
  }

  call<K extends keyof WorkerCalls>(
    call: K,
    argument: Parameters<WorkerCalls[K]>[0],
    timeoutMs = this.hasAnswered ? CALL_TIMEOUT_MS : FIRST_CALL_TIMEOUT_MS,
  ): ReturnType<WorkerCalls[K]> {
    const id = this.nextId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const late = (): void => this.waiting.get(id)?.reject(new Error(`no answer to ${call} within ${timeoutMs} ms`));
      this.hears.promise.then(
        () => {
          if (this.waiting.has(id)) timer = setTimeout(late, timeoutMs);
        },
        () => {},
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
      const message: ToWorker = { id, call, argument };
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
