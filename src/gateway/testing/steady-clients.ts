import { once } from 'node:events';
import net from 'node:net';

export interface SteadyResult {
  /** Requests sent, answered with 200, and what became of the others. */
  sent: number;
  ok: number;
  failed: string[];
  /** Connections that could not be made. */
  refused: number;
}

export interface SteadyClients {
  sent(): number;
  failed(): number;
  stop(): Promise<SteadyResult>;
}

/**
 * An open loop over keep-alive connections: every `everyMs` the next of `width` clients sends a request, whether or not others are answered.
 * A client whose answer said `Connection: close` connects again for its next request, or stays away with `reconnect: false`: a connection
 * that is made in the instant a listening socket closes for good may be reset by the kernel instead of refused.
 */
export async function steadyClients(
  port: number,
  { width, everyMs, reconnect }: { width: number; everyMs: number; reconnect: boolean },
): Promise<SteadyClients> {
  const result: SteadyResult = { sent: 0, ok: 0, failed: [], refused: 0 };
  const clients = Array.from({ length: width }, () => new SteadyClient(port, result, reconnect));
  await Promise.all(clients.map((client) => client.connect()));
  let turn = 0;
  const startedMs = performance.now();
  const timer = setInterval(() => {
    // What a busy machine was late for is sent at once: the load stays what it is.
    for (const due = (performance.now() - startedMs) / everyMs; turn < due; turn++) clients[turn % width]?.send();
  }, 1);
  return {
    sent: () => result.sent,
    failed: () => result.failed.length,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(clients.map((client) => client.end()));
      return result;
    },
  };
}

class SteadyClient {
  private readonly port: number;
  private readonly result: SteadyResult;
  private socket: net.Socket | null = null;
  private waiting = 0;
  private text = '';
  private settled: (() => void) | null = null;
  private readonly reconnect: boolean;

  constructor(port: number, result: SteadyResult, reconnect: boolean) {
    this.reconnect = reconnect;
    this.port = port;
    this.result = result;
  }

  async connect(): Promise<void> {
    const socket = net.connect({ port: this.port, host: '127.0.0.1', noDelay: true });
    this.socket = socket;
    this.text = '';
    this.waiting = 0;
    let why = 'closed before the answer';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      why = error.code ?? error.message;
    });
    socket.on('data', (octets) => this.read(socket, octets.toString('latin1')));
    socket.on('close', () => {
      // One that was left after its last answer: what is awaited meanwhile is awaited on another one.
      if (this.socket !== socket) return;
      if (why === 'ECONNREFUSED') this.result.refused += Math.max(1, this.waiting);
      else for (let i = 0; i < this.waiting; i++) this.result.failed.push(why);
      if (why === 'ECONNREFUSED') this.result.sent -= this.waiting;
      this.waiting = 0;
      this.socket = null;
      this.settled?.();
    });
    await once(socket, 'connect').catch(() => {});
  }

  private read(socket: net.Socket, octets: string): void {
    this.text += octets;
    for (;;) {
      const at = this.text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(this.text.slice(0, Math.max(0, at)))?.[1] ?? 0);
      if (at < 0 || this.text.length < at + 4 + length) return;
      const head = this.text.slice(0, at);
      this.text = this.text.slice(at + 4 + length);
      this.waiting--;
      if (head.startsWith('HTTP/1.1 200')) this.result.ok++;
      else this.result.failed.push(head.slice(0, 60));
      if (this.waiting === 0) this.settled?.();
      if (!/\r\nconnection: close/i.test(head)) continue;
      // Not answered on this connection any more: a client that pipelines sends them again (RFC 9112 section 9.3.2).
      this.result.sent -= this.waiting;
      this.waiting = 0;
      this.socket = null;
      socket.end();
      return;
    }
  }

  send(): void {
    // One request at a time, as HTTP/1.1 clients do: one whose answer is still awaited is not sent again.
    if (this.waiting > 0) return;
    if (this.socket === null && !this.reconnect) return;
    if (this.socket === null) void this.connect();
    this.waiting++;
    this.result.sent++;
    (this.socket as unknown as net.Socket).write('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
  }

  async end(): Promise<void> {
    if (this.waiting > 0) await new Promise<void>((resolve) => (this.settled = resolve));
    this.socket?.destroy();
  }
}
