import { createServer } from 'node:net';

// From 32,768 on the machine gives ports to whoever asks for any, and to outgoing connections: one that was free a moment ago may be
// taken when a test opens it. Below nobody gets one unasked. Each test worker has a range of its own.
const FIRST_PORT = 20_000;
const PORTS_PER_WORKER = 1_000;
const WORKERS = 12;

const first = FIRST_PORT + (Number(process.env.VITEST_POOL_ID ?? 0) % WORKERS) * PORTS_PER_WORKER;
let asked = Math.floor(Math.random() * PORTS_PER_WORKER);

/** A loopback port for a test to open: free, given once, and never taken by a process that asked for any port. */
export async function testPort(): Promise<number> {
  for (let tries = 0; tries < PORTS_PER_WORKER; tries++) {
    const port = first + (asked++ % PORTS_PER_WORKER);
    if (await isFree(port)) return port;
  }
  throw new Error(`none of the ports from ${first} to ${first + PORTS_PER_WORKER - 1} is free`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

export async function testPorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await testPort());
  return ports;
}
