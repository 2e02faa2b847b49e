/**
 * Open-loop load, as a process of its own that the bench tells what to run by IPC. Sends are scheduled in advance and latency is measured
 * from the scheduled time, so a stall shows in every request that it delayed (no coordinated omission).
 *
 * It is the backend too: generator and backend share one core, and as two processes they would wait for each other's time slices, which
 * is the millisecond that a p99 at this scale would then consist of. As one loop that never sleeps they do not. The proxy has the other core.
 */
import net from 'node:net';
import { quantile } from './machine.ts';

export interface Run {
  port: number;
  /** Requests per second, evenly spaced. */
  rate: number;
  seconds: number;
}

export interface RunResult {
  sent: number;
  answered: number;
  p50Us: number;
  p99Us: number;
  /** How late the generator itself sent, p99: what it adds. */
  lateP99Us: number;
}

const CONNECTIONS = 64;
const WARM_UP_S = 0.2;
const REQUEST = Buffer.from(
  'GET /tiny HTTP/1.1\r\nHost: bench\r\nUser-Agent: open-loop\r\nAccept: */*\r\n\r\n',
  'latin1',
);
const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 200\r\nConnection: keep-alive\r\n\r\n${'a'.repeat(200)}`,
  'latin1',
);
const END = 0x0a0d0a0d;

/** Sockets read into it and are done with it at once. */
const shared = Buffer.allocUnsafeSlow(64 * 1024);

/** One small answer for every head that ends; proxies send each of these bodyless heads in one piece. */
function startBackend(port: number): Promise<void> {
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (let at = 3; at < chunk.length; at++) {
        if (chunk[at] === 10 && chunk.readUInt32LE(at - 3) === END) socket.write(ANSWER);
      }
    });
  });
  return new Promise((resolve) => server.listen({ port, host: '127.0.0.1', backlog: 1024 }, resolve));
}

class Line {
  readonly socket: net.Socket;
  /** When the request in progress was to be sent. */
  scheduledMs = -1;
  bytes = 0;

  constructor(port: number, onAnswer: (line: Line) => void) {
    this.socket = net.connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (length) => {
          this.bytes += length;
          if (this.bytes >= answerBytes && this.scheduledMs >= 0) onAnswer(this);
          return true;
        },
      },
    });
  }

  send(scheduledMs: number): void {
    this.scheduledMs = scheduledMs;
    this.bytes = 0;
    this.socket.write(REQUEST);
  }
}

/** Octets of one answer of the present target, the same for all: learned from the first. */
let answerBytes = 0;

class OpenLoop {
  private readonly lines: Line[] = [];
  private idle: Line[] = [];
  private readonly queue: number[] = [];
  private latencies = new Float64Array(0);
  private answered = 0;
  private readonly port: number;
  private bytes = 0;

  constructor(port: number) {
    this.port = port;
  }

  async open(): Promise<void> {
    for (let i = 0; i < CONNECTIONS; i++) this.lines.push(new Line(this.port, (line) => this.onAnswer(line)));
    await Promise.all(this.lines.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve))));
    const [line] = this.lines as [Line];
    answerBytes = Number.POSITIVE_INFINITY;
    line.send(-1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    this.bytes = line.bytes;
  }

  private onAnswer(line: Line): void {
    this.latencies[this.answered++] = performance.now() - line.scheduledMs;
    const next = this.queue.shift();
    if (next === undefined) {
      line.scheduledMs = -1;
      this.idle.push(line);
    } else {
      line.send(next);
    }
  }

  async run(rate: number, seconds: number): Promise<RunResult> {
    answerBytes = this.bytes;
    this.idle = [...this.lines];
    this.queue.length = this.answered = 0;
    const total = Math.floor(rate * seconds);
    this.latencies = new Float64Array(total);
    const late = new Float64Array(total);
    const startMs = performance.now() + 1;
    const endMs = startMs + seconds * 1000 + 2000;
    let sent = 0;
    await new Promise<void>((resolve) => {
      const turn = (): void => {
        const nowMs = performance.now();
        while (sent < total) {
          const scheduledMs = startMs + (sent * 1000) / rate;
          if (scheduledMs > nowMs) break;
          late[sent++] = nowMs - scheduledMs;
          const line = this.idle.pop();
          if (line === undefined) this.queue.push(scheduledMs);
          else line.send(scheduledMs);
        }
        if (this.answered < total && nowMs < endMs) setImmediate(turn);
        else resolve();
      };
      turn();
    });
    const values = [...this.latencies.subarray(0, this.answered)];
    return {
      sent,
      answered: this.answered,
      p50Us: quantile(values, 0.5) * 1000,
      p99Us: quantile(values, 0.99) * 1000,
      lateP99Us: quantile([...late], 0.99) * 1000,
    };
  }
}

const loops = new Map<number, OpenLoop>();

async function onRun({ port, rate, seconds }: Run): Promise<void> {
  let loop = loops.get(port);
  if (loop === undefined) {
    loop = new OpenLoop(port);
    loops.set(port, loop);
    await loop.open();
  }
  await loop.run(rate, WARM_UP_S);
  process.send?.(await loop.run(rate, seconds));
}

await startBackend(Number(process.argv[2]));
process.on('message', onRun);
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
