import net from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { GatewayContext } from '../context.ts';
import { ascii } from '../http1/bytes.ts';
import { type Http2Client, Http2Front } from '../http2/front.ts';
import type { Wire } from '../http2/wire.ts';
import { limits } from '../limits.ts';
import { Channel } from '../net/channel.ts';
import { descriptors } from '../net/descriptors.ts';
import type { Route } from '../route/route.ts';
import type { SocketHandle } from '../succession/estate.ts';
import { TlsFront, type TlsSettings } from '../tls/front.ts';
import { certifiedNames } from './caller.ts';
import { ClientConnection } from './client.ts';

const BACKLOG = 1024;
const DRAIN_POLL_MS = 20;

/** The port of one service and its client connections. The route is replaced by assignment: that is the atomic swap. */
export class Listener {
  /** What new requests follow. Set before the first connection is accepted. */
  route: Route = undefined as unknown as Route;
  fallbackHost = ascii('');
  readonly context: GatewayContext;
  private readonly host: string;
  private readonly port: number;
  readonly connections = new Set<ClientConnection>();
  draining = false;
  private drained: Promise<void> | null = null;
  private closed: Promise<void> | null = null;
  private trusted: net.BlockList | null = null;
  private readonly server: net.Server;
  private tls: TlsFront | null = null;
  private front: Http2Front | null = null;
  private readonly waiting: net.Socket[] = [];

  constructor(address: { listenHost: string; listenPort: number }, context: GatewayContext) {
    this.context = context;
    this.host = address.listenHost;
    this.port = address.listenPort;
    this.server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) =>
      this.accept(socket),
    );
  }

  use(route: Route, tls: TlsSettings | null): void {
    if (tls === null) this.tls?.close();
    if (tls === null) this.tls = null;
    else if (this.tls === null) this.tls = new TlsFront(tls, (socket) => this.acceptTls(socket));
    else this.tls.reload(tls);
    this.route?.mirror?.retire();
    this.route = route;
    for (const connection of this.connections) connection.recheck(route);
    this.fallbackHost = ascii(route.config.service);
    this.trusted = blockList(route.config.trustedProxies ?? []);
    this.waiting.splice(0).forEach((socket) => {
      this.accept(socket);
    });
  }

  /**
   * `sharedPort`: other processes listen there too, and the kernel spreads connections (SO_REUSEPORT). `inherited`: the listening socket of a
   * process that leaves; its queue of connections comes with it. Rejects with the system's error when the port cannot be had.
   */
  listen(sharedPort: boolean, inherited: SocketHandle | null): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.once('listening', () => {
        this.server.off('error', reject);
        this.server.on('error', () => {});
        resolve();
      });
      if (inherited !== null) this.server.listen(inherited, BACKLOG);
      else this.server.listen({ host: this.host, port: this.port, backlog: BACKLOG, reusePort: sharedPort });
    });
  }

  /** The listening socket, to be handed to another process; null when it cannot be. */
  get handle(): SocketHandle | null {
    return (this.server as unknown as { _handle: SocketHandle | null })._handle;
  }

  private accept(socket: net.Socket): void {
    // Accepted between listening and the table's coming into force.
    if (this.route === undefined) {
      this.waiting.push(socket);
      return;
    }
    if (this.connections.size >= limits.clientConnections || !descriptors.mayAccept()) {
      this.route.state.connectionsRefused++;
      socket.destroy();
      return;
    }
    if (this.tls === null) this.connections.add(new ClientConnection(this, socket, 'http', 'tcp', null));
    else this.tls.accept(socket);
  }

  /** A TLS connection whose handshake is over and whose certificate, if one is asked for, is allowed. */
  private acceptTls(socket: TLSSocket): void {
    const names = socket.authorized ? certifiedNames(socket.getPeerCertificate().subjectaltname ?? '') : null;
    const client = { scheme: 'https', certified: names, remoteAddress: socket.remoteAddress } as const;
    if (socket.alpnProtocol === 'h2') this.acceptHttp2(client, (wire) => Channel.secure(socket, wire));
    else this.connections.add(new ClientConnection(this, socket, 'https', 'tcp', names));
  }

  /** A connection that speaks HTTP/2: the slow path. Each of its streams becomes a connection of the core. */
  acceptHttp2(client: Http2Client, open: (wire: Wire) => Channel): Wire {
    this.front ??= new Http2Front({
      onPipe: (pipe, { scheme, certified }) => {
        const stream = pipe as unknown as net.Socket;
        this.connections.add(new ClientConnection(this, stream, scheme, 'stream', certified));
      },
      onMalformed: () => {
        this.route.state.own.badRequest++;
      },
    });
    return this.front.accept(client, open);
  }

  /** Whether the peer is a proxy whose forwarding fields are believed. */
  trusts(address: string): boolean {
    if (this.trusted === null) return false;
    return this.trusted.check(address, net.isIPv6(address) ? 'ipv6' : 'ipv4');
  }

  /**
   * No new connections. Those that wait to be accepted are accepted first: the kernel resets them when the socket closes and no other
   * process holds it.
   */
  close(): Promise<void> {
    this.closed ??= this.closeNow();
    return this.closed;
  }

  private async closeNow(): Promise<void> {
    this.draining = true;
    for (let turn = 0; turn < 2; turn++) await nextTurn();
    this.server.close();
  }

  /** Closes; the present connections end after their answers, at the latest after `withinMs`. */
  drain(withinMs: number): Promise<void> {
    this.drained ??= this.drainNow(withinMs);
    return this.drained;
  }

  private async drainNow(withinMs: number): Promise<void> {
    const endMs = Date.now() + withinMs;
    await this.close();
    for (const connection of [...this.connections]) connection.drain();
    this.front?.drain();
    await this.emptyBy(endMs - Math.min(limits.farewellMs, withinMs / 4));
    for (const connection of [...this.connections]) connection.goAway();
    await this.emptyBy(endMs);
    this.destroy();
  }

  private async emptyBy(atMs: number): Promise<void> {
    while (this.open > 0 && Date.now() < atMs) await sleep(DRAIN_POLL_MS);
  }

  /** Connections, also those that shake hands. */
  private get open(): number {
    return this.connections.size + (this.front?.size ?? 0) + (this.tls?.handshaking ?? 0);
  }

  destroy(): void {
    this.server.close();
    for (const socket of this.waiting) socket.destroy();
    this.front?.destroy();
    this.tls?.close();
    for (const connection of [...this.connections]) connection.destroy();
  }
}

function blockList(cidrs: readonly string[]): net.BlockList | null {
  if (cidrs.length === 0) return null;
  const list = new net.BlockList();
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/');
    const family = net.isIPv6(address) ? 'ipv6' : 'ipv4';
    list.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family);
  }
  return list;
}
