/**
 * Open-loop load: `node open-loop.ts PORT RATE SECONDS CONNECTIONS`. Sends are scheduled in advance and latency is measured from the
 * scheduled time, so a stall shows in every request that it delayed (no coordinated omission). Prints JSON.
 */
import net from 'node:net';
import { quantile } from './machine.ts';

const [, , port = '', rate = '', seconds = '', connections = ''] = process.argv;
const request = Buffer.from(
  'GET /tiny HTTP/1.1\r\nHost: bench\r\nUser-Agent: open-loop\r\nAccept: */*\r\n\r\n',
  'latin1',
);
const periodMs = 1000 / Number(rate);
const total = Math.floor(Number(rate) * Number(seconds));

interface Line {
  socket: net.Socket;
  /** Scheduled times of the requests in progress, oldest first. */
  waiting: number[];
  bytes: number;
}

const latencies = new Float64Array(total);
let done = 0;
let sent = 0;
const idle: Line[] = [];
const queue: number[] = [];
/** Octets of one answer: found with the first one, the same for all. */
let answerBytes = 0;

async function open(): Promise<Line> {
  const line: Line = {
    socket: net.connect({ port: Number(port), host: '127.0.0.1', noDelay: true }),
    waiting: [],
    bytes: 0,
  };
  await new Promise((resolve) => line.socket.once('connect', resolve));
  line.socket.on('data', (chunk: Buffer) => {
    if (answerBytes === 0) answerBytes = chunk.length;
    line.bytes += chunk.length;
    while (line.bytes >= answerBytes && line.waiting.length > 0) {
      line.bytes -= answerBytes;
      const scheduled = line.waiting.shift() as number;
      if (scheduled >= 0) latencies[done++] = performance.now() - scheduled;
      const next = queue.shift();
      if (next === undefined) idle.push(line);
      else send(line, next);
    }
  });
  return line;
}

function send(line: Line, scheduled: number): void {
  line.waiting.push(scheduled);
  line.socket.write(request);
}

const lines = await Promise.all(Array.from({ length: Number(connections) }, open));
// The size of an answer, and warm connections upstream.
send(lines[0] as Line, -1);
await new Promise((resolve) => setTimeout(resolve, 200));
idle.length = 0;
idle.push(...lines);

const startMs = performance.now() + 20;
function turn(): void {
  const nowMs = performance.now();
  while (sent < total && startMs + sent * periodMs <= nowMs) {
    const scheduled = startMs + sent++ * periodMs;
    const line = idle.pop();
    if (line === undefined) queue.push(scheduled);
    else send(line, scheduled);
  }
  if (done < total && nowMs < startMs + Number(seconds) * 1000 + 2000) {
    setImmediate(turn);
    return;
  }
  const values = [...latencies.subarray(0, done)];
  console.log(
    JSON.stringify({
      done,
      total,
      p50Us: quantile(values, 0.5) * 1000,
      p99Us: quantile(values, 0.99) * 1000,
      p999Us: quantile(values, 0.999) * 1000,
    }),
  );
  process.exit(0);
}
turn();
