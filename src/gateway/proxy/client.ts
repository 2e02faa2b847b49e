/** A client connection: reads requests one after the other, answers in order, and closes without losing the answer. */
import type net from 'node:net';
import { ascii } from '../http1/bytes.ts';
import type { ForwardContext } from '../http1/forward.ts';
import { DONE, Head, MORE, parseRequestHead } from '../http1/head.ts';
import { M } from '../http1/names.ts';
import { limits } from '../limits.ts';
import { Channel, type ChannelOwner } from '../net/channel.ts';
import { descriptors } from '../net/descriptors.ts';
import { recent, stamp } from '../net/now.ts';
import { Remainder } from '../net/remainder.ts';
import type { Timed } from '../net/wheel.ts';
import type { Gate } from '../quota/quota.ts';
import type { Route } from '../route/route.ts';
import { Connect } from '../tunnel/connect.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';
import { WebSocketTunnel } from '../tunnel/websocket.ts';
import { type Cause, type OwnAnswer, renderAnswer } from './answer.ts';
import { ConnectionCaller } from './caller.ts';
import { Exchange } from './exchange.ts';
import { failures } from './failure.ts';
import { Linger } from './linger.ts';
import type { Listener } from './listener.ts';
import type { Upstream } from './upstream.ts';

/** Between requests, or in the middle of a head. */
const HEAD = 0;
/** The request's body is coming. */
const BODY = 1;
/** The request is complete, the answer is not. */
const WAIT = 2;
/** The last answer is sent: input is thrown away until the peer closes (RFC 9112 section 9.6). */
const LINGER = 3;
/** After 101, or after CONNECT: octets pass both ways. */
const TUNNEL = 4;

const KEEP_ALIVE_PROBE_MS = 60_000;
const PREFACE = 'PRI * HTTP/2.0';

/** What was granted may be taken by another request before its turn; after so many questions the answer stands. */
const MAX_ASKED = 8;

const head = new Head();

export class ClientConnection implements ChannelOwner, Timed {
  deadlineMs = 0;
  wheelNext: Timed | null = null;
  wheelPrevious: Timed | null = null;
  wheelSlot = -1;

  readonly listener: Listener;
  readonly channel: Channel;
  readonly address: string;
  /** The forwarding fields of this connection, ready to send. */
  readonly forwarded: Buffer;
  private readonly scheme: 'http' | 'https';
  readonly caller: ConnectionCaller;
  private readonly exchange: Exchange;
  private readonly remainder = new Remainder();
  private phase = HEAD;
  /** Nothing was read yet: the client may turn out to speak HTTP/2 with prior knowledge. */
  private first: boolean;
  private consuming = false;
  /** How often the present request has waited to be decided. */
  private asked = 0;
  /** Part of a head has come: its time runs. */
  private headStarted = false;
  private peerEnded = false;
  private tunnel: Tunnel | null = null;
  private connect: Connect | null = null;
  /** One HTTP/2 stream: it cannot become a tunnel. */
  readonly isStream: boolean;
  private readonly linger = new Linger();

  /**
   * `kind`: a plain TCP socket; a TLS socket; or one HTTP/2 stream, whose connection is the front's. `certified`: the names in the
   * client's certificate, null without one.
   */
  constructor(
    listener: Listener,
    accepted: net.Socket,
    scheme: 'http' | 'https',
    kind: 'tcp' | 'stream',
    certified: readonly string[] | null,
  ) {
    this.listener = listener;
    this.address = plainAddress(accepted.remoteAddress ?? 'unknown');
    this.forwarded = ascii(`X-Forwarded-For: ${this.address}\r\nX-Forwarded-Proto: ${scheme}\r\n`);
    this.scheme = scheme;
    this.caller = new ConnectionCaller(certified);
    this.isStream = kind === 'stream';
    this.first = kind === 'tcp' && scheme === 'http';
    if (kind === 'stream') this.channel = Channel.wrap(accepted, this);
    else this.channel = this.first ? Channel.accept(accepted, this) : Channel.secure(accepted, this);
    this.exchange = new Exchange(this);
    this.setDeadline(stamp() + this.idleMs());
  }

  /** What forwarding depends on and belongs to the connection. */
  tell(context: ForwardContext): void {
    context.forwarded = this.forwarded;
    context.trusted = this.listener.trusts(this.address);
    if (context.trusted) context.element = this.forwardedElement();
    context.fallbackHost = this.listener.fallbackHost;
  }

  /** RFC 7239 section 6: an IPv6 address stands in brackets and quotes. */
  private forwardedElement(): Buffer {
    const node = this.address.includes(':') ? `"[${this.address}]"` : this.address;
    return ascii(`Forwarded: for=${node};proto=${this.scheme}\r\n`);
  }

  // ---- input -------------------------------------------------------------------------------------------------------

  onBytes(buf: Buffer, start: number, end: number): void {
    if (this.phase === LINGER) {
      this.linger.stillSending = true;
      return;
    }
    if (this.remainder.length > 0) {
      this.remainder.append(buf, start, end);
      if (this.phase !== WAIT) this.consume(this.remainder.buf, 0, this.remainder.length);
      else if (this.remainder.length > limits.pipelinedBytes) this.channel.pause();
    } else {
      this.consume(buf, start, end);
    }
  }

  private consume(buf: Buffer, start: number, end: number): void {
    this.consuming = true;
    let at = start;
    let begun = 0;
    while (at < end) {
      if (this.phase === HEAD) {
        // Only what the gateway answers itself comes here again and again within a call.
        if (begun++ === limits.requestsPerTurn) {
          this.awaitTurn();
          break;
        }
        head.translated = this.isStream;
        const result = parseRequestHead(head, buf, at, end);
        if (result === MORE) {
          this.headBegun();
          break;
        }
        if (result !== DONE) {
          if (this.first && this.isPreface(buf, at)) {
            this.handOver(buf, at, end);
            return;
          }
          this.malformed();
          break;
        }
        this.headStarted = this.first = false;
        const gate = this.admissionGate();
        if (gate !== null) {
          this.awaitAdmission(gate);
          break;
        }
        if (head.method === M.connect && this.beginConnect(buf)) {
          at = head.end;
        } else {
          this.phase = BODY;
          at = this.exchange.begin(head, buf, end);
          this.afterRequestBytes();
        }
      } else if (this.phase === BODY) {
        at = this.exchange.feedRequest(buf, at, end);
        this.afterRequestBytes();
      } else if (this.phase === TUNNEL) {
        this.tunnelFromClient(buf, at, end);
        at = end;
      } else {
        break;
      }
    }
    this.consuming = false;
    if (this.phase === LINGER) this.remainder.clear();
    else this.remainder.keep(buf, at, end);
  }

  /** What must be asked of others before the request can be admitted or refused; null: nothing. */
  private admissionGate(): Gate | null {
    const { limits: quotas } = this.listener.route.state;
    const gate = quotas.mayWait && this.asked < MAX_ASKED ? quotas.undecided(stamp(), head.method === M.connect) : null;
    this.asked = gate === null ? 0 : this.asked + 1;
    return gate;
  }

  /** The request stays as it is, unread, until it can be decided: then its head is read again. */
  private awaitAdmission(gate: Gate): void {
    this.phase = WAIT;
    this.clearDeadline();
    gate.whenDecided(() => this.goOn());
  }

  /** More requests came at once than may be answered in one turn of the event loop: others are served first. */
  private awaitTurn(): void {
    this.phase = WAIT;
    this.clearDeadline();
    this.channel.pause();
    setImmediate(() => this.goOn());
  }

  /** Reads on where a request was left unread. */
  private goOn(): void {
    if (this.channel.closed || this.phase !== WAIT) return;
    this.phase = HEAD;
    this.channel.resume();
    this.consume(this.remainder.buf, 0, this.remainder.length);
    this.closeIfEnded();
  }

  /** `PRI * HTTP/2.0`: the connection preface of HTTP/2 (RFC 9113 section 3.4). */
  private isPreface(buf: Buffer, start: number): boolean {
    return buf.toString('latin1', start, start + PREFACE.length) === PREFACE;
  }

  private handOver(buf: Buffer, start: number, end: number): void {
    this.consuming = false;
    this.phase = LINGER;
    this.clearDeadline();
    this.listener.connections.delete(this);
    const client = { scheme: this.scheme, certified: null, remoteAddress: this.address };
    const wire = this.listener.acceptHttp2(client, (owner) => {
      this.channel.owner = owner;
      return this.channel;
    });
    wire.onBytes(buf, start, end);
  }

  private afterRequestBytes(): void {
    if (this.phase === BODY && this.exchange.active && this.exchange.requestBody.done) this.phase = WAIT;
  }

  private headBegun(): void {
    if (this.headStarted) return;
    this.headStarted = true;
    this.setDeadline(stamp() + limits.headTimeoutMs);
  }

  private malformed(): void {
    this.listener.route.state.own.badRequest++;
    this.answerAndClose(head.fault.status, 'bad-request', head.fault.detail, false);
  }

  onEnd(): void {
    this.peerEnded = true;
    if (this.phase === TUNNEL) {
      this.tunnel?.clientEnded();
      this.touchTunnel();
    } else if (this.phase === BODY && !this.exchange.requestBody.done) {
      // The request will never be complete (RFC 9112 section 8).
      this.exchange.clientGone();
      this.channel.destroy();
    } else if (this.phase !== WAIT) {
      this.channel.end();
    }
  }

  onClose(): void {
    this.listener.context.wheel.clear(this);
    this.listener.connections.delete(this);
    this.phase = LINGER;
    if (!this.isStream) descriptors.closed();
    this.exchange.clientGone();
    this.tunnel?.clientGone();
    this.connect?.clientGone();
    this.tunnel = this.connect = null;
  }

  onDrain(): void {
    if (this.tunnel !== null) this.tunnel.target.resume();
    else this.exchange.onClientDrain();
  }

  // ---- time --------------------------------------------------------------------------------------------------------

  setDeadline(atMs: number): void {
    this.listener.context.wheel.set(this, atMs);
  }

  clearDeadline(): void {
    this.listener.context.wheel.clear(this);
  }

  onDeadline(nowMs: number): void {
    if (this.exchange.active && this.phase !== TUNNEL) {
      this.exchange.onDeadline(nowMs);
      return;
    }
    if (this.phase === HEAD && this.headStarted) {
      this.answerAndClose(408, 'bad-request', `no whole head within ${limits.headTimeoutMs} ms`, false);
      return;
    }
    if (this.phase === TUNNEL) this.connect?.idle();
    if (this.phase === HEAD) this.leaveIfIdle();
    else if (this.phase === LINGER && this.linger.goesOn(this.channel.unsent, nowMs))
      this.setDeadline(nowMs + limits.lingerMs);
    else this.channel.destroy();
  }

  /** Timers run before sockets are read: what has arrived meanwhile is read first, and a request among it is answered. */
  private leaveIfIdle(): void {
    setImmediate(() => {
      if (this.isIdle && !this.channel.closed) this.closeGently();
    });
  }

  private get isIdle(): boolean {
    return this.phase === HEAD && !this.headStarted && !this.exchange.active;
  }

  private idle(): void {
    this.setDeadline(recent() + this.idleMs());
  }

  private idleMs(): number {
    return this.listener.draining ? limits.drainIdleMs : limits.clientIdleMs;
  }

  // ---- answers -----------------------------------------------------------------------------------------------------

  /** The exchange is over and its answer written. */
  exchangeDone(close: boolean): void {
    if (this.phase === LINGER) return;
    if (close || (this.peerEnded && this.remainder.length === 0)) {
      this.closeGently();
      return;
    }
    this.phase = HEAD;
    this.idle();
    this.channel.resume();
    if (!this.consuming && this.remainder.length > 0) this.consume(this.remainder.buf, 0, this.remainder.length);
    if (!this.consuming) this.closeIfEnded();
  }

  /** Nothing more will come, and what had come was answered. */
  private closeIfEnded(): void {
    if (this.peerEnded && this.phase === HEAD) this.closeGently();
  }

  answerOwn(answer: OwnAnswer): void {
    if (this.channel.closed) return;
    this.channel.writeStable(renderAnswer(answer, this.isStream));
    this.exchangeDone(answer.close);
  }

  answerAndClose(status: number, cause: Cause, detail: string, headOnly: boolean): void {
    this.answerOwn({ status, cause, detail, headOnly, close: true });
  }

  private closeGently(): void {
    this.phase = LINGER;
    this.channel.end();
    this.channel.resume();
    const nowMs = stamp();
    this.linger.begin(this.channel.unsent, nowMs);
    this.setDeadline(nowMs + limits.lingerMs);
  }

  /**
   * The gateway stops. Every answer from now on says `Connection: close`. An idle connection stays open a moment: a client that does not
   * know yet may have a request under way, and closing under it would lose it (RFC 9112 section 9.5).
   */
  drain(): void {
    if (this.isIdle) this.setDeadline(stamp() + limits.drainIdleMs);
  }

  /** The time to finish is nearly over: what is still in progress is ended in the words that its protocol has for it. */
  goAway(): void {
    if (this.exchange.active) this.exchange.withdraw(failures.leaving);
    else if (this.tunnel !== null) this.leaveTunnel();
  }

  destroy(): void {
    this.channel.destroy();
  }

  // ---- tunnels -----------------------------------------------------------------------------------------------------

  beginTunnel(upstream: Upstream): void {
    this.openTunnel(new WebSocketTunnel(this.channel, upstream.channel));
  }

  /** CONNECT, where the route allows any: false leaves it to be refused like other requests. */
  private beginConnect(buf: Buffer): boolean {
    const { route, context, draining } = this.listener;
    if (route.connect === null || this.isStream) return false;
    const target = buf.toString('latin1', head.targetStart, head.targetEnd);
    this.phase = WAIT;
    this.clearDeadline();
    const { wheel, lookup } = context;
    this.connect = new Connect(this, route, route.connect, { wheel, lookup, draining });
    this.connect.begin(head, target);
    return true;
  }

  /** Another route is in force. */
  recheck(route: Route): void {
    if (this.connect !== null && this.phase !== LINGER && !this.connect.isAllowedBy(route)) this.channel.destroy();
  }

  openTunnel(tunnel: Tunnel): void {
    this.phase = TUNNEL;
    this.tunnel = tunnel;
    this.touchTunnel();
    // A tunnel may be idle for long; a peer that vanished must still be noticed.
    for (const { socket } of [tunnel.client, tunnel.target]) socket.setKeepAlive?.(true, KEEP_ALIVE_PROBE_MS);
    // It may wait since more came ahead of the tunnel than is kept.
    this.channel.resume();
    if (!this.consuming && this.remainder.length > 0) this.consume(this.remainder.buf, 0, this.remainder.length);
    if (this.peerEnded) tunnel.clientEnded();
  }

  /** Octets move, or a side has ended: the time that the tunnel may be silent begins anew. */
  private touchTunnel(): void {
    if (this.tunnel?.isLeaving === true) {
      if (this.tunnel.isOver) this.finishTunnel(this.tunnel);
      return;
    }
    const idleMs = this.tunnel?.idleMs ?? Number.POSITIVE_INFINITY;
    if (idleMs === Number.POSITIVE_INFINITY) this.clearDeadline();
    else this.setDeadline(stamp() + idleMs);
  }

  tunnelToClient(buf: Buffer, start: number, end: number): number {
    this.tunnel?.fromTarget(buf, start, end);
    this.touchTunnel();
    return end;
  }

  private tunnelFromClient(buf: Buffer, start: number, end: number): void {
    this.tunnel?.fromClient(buf, start, end);
    this.connect?.fromClient(end - start);
    this.touchTunnel();
  }

  /** The target sends no more; what the client sends still goes to it. */
  tunnelTargetEnded(): void {
    this.tunnel?.targetEnded();
    this.touchTunnel();
  }

  /** The tunnel is to end: its version gets no more traffic, or the gateway stops. A side in the middle of a frame is told after it, or never. */
  leaveTunnel(): void {
    this.tunnel?.goAway();
    this.setDeadline(stamp() + limits.lingerMs);
    this.touchTunnel();
  }

  private finishTunnel({ target }: Tunnel): void {
    this.endTunnel();
    target.endThenDestroy();
  }

  /** The target's connection is closed. */
  endTunnel(): void {
    if (this.tunnel === null) return;
    this.tunnel = null;
    this.closeGently();
  }
}

/** IPv4 addresses of a dual-stack socket without their IPv6 prefix. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
