/** Real sockets for the gateway's tests: a raw client, scripted upstreams that record every octet, and an engine in this process. */
import { once } from 'node:events';
import net from 'node:net';
import { testPort } from '../../lib/test-port.fixture.ts';
import type { CanaryRoute, InstanceAddress, RoutingTable, ServiceRoute } from '../../traffic/model.ts';
import { Engine } from '../engine.ts';
import { internalErrors } from '../net/internal-error.ts';

/** What an upstream does with the octets it got so far on one connection. Called after each arrival. */
export type Script = (connection: UpstreamConnection) => void;

export interface UpstreamConnection {
  socket: net.Socket;
  /** Everything received on this connection. */
  received: string;
  /** How many answers the script has sent. */
  answers: number;
}

export interface TestUpstream {
  port: number;
  connections: UpstreamConnection[];
  script: Script;
  /** Everything received, connection after connection. */
  received(): string;
  close(): Promise<void>;
}

const SMALL_ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Complete requests in `text`, told apart by an independent, simple reader of our own framing (one Content-Length or chunked). */
export function countRequests(text: string): { complete: number; rest: string } {
  let complete = 0;
  let rest = text;
  for (;;) {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd < 0) return { complete, rest };
    const head = rest.slice(0, headEnd).toLowerCase();
    const body = rest.slice(headEnd + 4);
    const used = bodyLength(head, body);
    if (used < 0) return { complete, rest };
    rest = body.slice(used);
    complete++;
  }
}

function bodyLength(head: string, body: string): number {
  if (/\r\ntransfer-encoding:\s*chunked/.test(head)) {
    let at = 0;
    for (;;) {
      const line = body.indexOf('\r\n', at);
      if (line < 0) return -1;
      const size = Number.parseInt(body.slice(at, line), 16);
      if (size === 0) {
        const end = body.indexOf('\r\n\r\n', line);
        return body.startsWith('\r\n', line + 2) ? line + 4 : end < 0 ? -1 : end + 4;
      }
      at = line + 2 + size + 2;
      if (body.length < at) return -1;
    }
  }
  const length = Number(/\r\ncontent-length:\s*(\d+)/.exec(head)?.[1] ?? 0);
  return body.length < length ? -1 : length;
}

/** Answers every complete request with `answer`. */
export function answering(answer: string | ((index: number) => string) = SMALL_ANSWER): Script {
  return (connection) => {
    const { complete } = countRequests(connection.received);
    while (connection.answers < complete) {
      const text = typeof answer === 'string' ? answer : answer(connection.answers);
      connection.answers++;
      connection.socket.write(Buffer.from(text, 'latin1'));
    }
  };
}

export async function startUpstream(
  script: Script = answering(),
  at: { host?: string; port?: number } = {},
): Promise<TestUpstream> {
  const connections: UpstreamConnection[] = [];
  const upstream: TestUpstream = {
    port: 0,
    connections,
    script,
    received: () => connections.map((connection) => connection.received).join(''),
    close: async () => {
      server.close();
      for (const { socket } of connections) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
  const server = net.createServer((socket) => {
    const connection: UpstreamConnection = { socket, received: '', answers: 0 };
    connections.push(connection);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      connection.received += chunk.toString('latin1');
      upstream.script(connection);
    });
  });
  server.listen(at.port ?? 0, at.host ?? '127.0.0.1');
  await once(server, 'listening');
  upstream.port = (server.address() as net.AddressInfo).port;
  return upstream;
}

export interface RawClient {
  socket: net.Socket;
  received: () => string;
  send(text: string | Buffer): void;
  /** Resolves when the text received matches; rejects when the connection closes first. */
  until(pattern: RegExp): Promise<string>;
  /** Resolves with everything received once the gateway has closed. */
  closed(): Promise<string>;
}

export function connectRaw(port: number, options: { allowHalfOpen?: boolean } = {}): RawClient {
  let text = '';
  let isClosed = false;
  let check: () => void = () => {};
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: options.allowHalfOpen ?? false });
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    check();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    isClosed = true;
    check();
  });
  const wait = (done: () => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      check = () => {
        if (done()) resolve(text);
        else if (isClosed) reject(new Error(`closed after: ${JSON.stringify(text)}`));
      };
      check();
    });
  return {
    socket,
    received: () => text,
    send: (octets) => {
      socket.write(typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets);
    },
    until: (pattern) => wait(() => pattern.test(text)),
    closed: () => wait(() => isClosed),
  };
}

export interface RouteParts {
  stable: TestUpstream[];
  canary?: TestUpstream[];
  canaryRoute?: Partial<CanaryRoute>;
  route?: Partial<ServiceRoute>;
}

function addresses(version: string, upstreams: { port: number }[]): InstanceAddress[] {
  return upstreams.map(({ port }, n) => ({ id: `svc/${version}/${n}`, host: '127.0.0.1', port, zone: null }));
}

export function tableOf(port: number, generation: number, parts: RouteParts): RoutingTable {
  const versions = [{ version: 'v1', instances: addresses('v1', parts.stable) }];
  if (parts.canary !== undefined) versions.push({ version: 'v2', instances: addresses('v2', parts.canary) });
  const canary: CanaryRoute | null =
    parts.canary === undefined
      ? null
      : {
          version: 'v2',
          weightBp: 1000,
          release: 'svc-1',
          header: 'x-canary',
          lease: { id: 'svc-1', ttlMs: 60_000 },
          ...parts.canaryRoute,
        };
  const service: ServiceRoute = {
    service: 'svc',
    listenHost: '127.0.0.1',
    listenPort: port,
    stable: 'v1',
    canary,
    versions,
    timeoutMs: 5000,
    retries: null,
    ejection: null,
    rateLimit: null,
    edgesMs: [200, 500],
    ...parts.route,
  };
  return { term: 1, generation, services: [service] };
}

export interface TestGateway {
  engine: Engine;
  port: number;
  apply(parts: RouteParts): Promise<void>;
  /** One request on a connection of its own, to its end. */
  exchange(text: string): Promise<string>;
  close(): Promise<void>;
}

export async function startGateway(
  parts: RouteParts,
  options: ConstructorParameters<typeof Engine>[0] = {},
): Promise<TestGateway> {
  const engine = new Engine(options);
  const port = await testPort();
  let generation = 0;
  const gateway: TestGateway = {
    engine,
    port,
    apply: (next) => engine.apply(tableOf(port, ++generation, next)),
    exchange: async (text) => {
      const client = connectRaw(port);
      client.send(text);
      return client.closed();
    },
    close: async () => {
      await engine.close();
      // An exception ends its connection quietly: no test may live with one that it did not cause on purpose.
      const { count } = internalErrors;
      internalErrors.count = 0;
      if (count > 0) throw new Error(`${count} internal errors of the gateway; its log says which`);
    },
  };
  await gateway.apply(parts);
  return gateway;
}

/** A request that ends its connection. */
export function get(path = '/', lines = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n${lines}\r\n`;
}

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}
