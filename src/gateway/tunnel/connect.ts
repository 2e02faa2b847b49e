/**
 * One CONNECT request (RFC 9110 section 9.3.6): checked against the route's list, connected, answered with 200 and no framing field, and
 * from then on a tunnel. Every refusal closes the client's connection: what follows may be meant for the target.
 */
import type net from 'node:net';
import { type Authority, parseAuthority } from '../../lib/authority.ts';
import { HostAddress, systemLookup } from '../../lib/host-address.ts';
import { gatewayErrors } from '../errors.ts';
import { ascii } from '../http1/bytes.ts';
import { currentDate } from '../http1/forward.ts';
import type { Head } from '../http1/head.ts';
import { Channel, type ChannelOwner } from '../net/channel.ts';
import { descriptors } from '../net/descriptors.ts';
import { stamp } from '../net/now.ts';
import type { Timed, Wheel } from '../net/wheel.ts';
import { writeAccessLine } from '../proxy/access-log.ts';
import { limitRefusal } from '../proxy/admission.ts';
import type { Cause, OwnAnswer } from '../proxy/answer.ts';
import { isShortage } from '../proxy/failure.ts';
import type { Places } from '../quota/quota.ts';
import { randomShare } from '../random.ts';
import type { Route } from '../route/route.ts';
import { F } from '../stats/flags.ts';
import type { ConnectPolicy } from './policy.ts';
import { FORBIDDEN_ADDRESS, guardedLookup } from './reach.ts';
import { Tunnel } from './tunnel.ts';

/** The client's side, as far as a CONNECT needs it. */
export interface ConnectClient {
  readonly channel: Channel;
  answerOwn(answer: OwnAnswer): void;
  openTunnel(tunnel: Tunnel): void;
  tunnelToClient(buf: Buffer, start: number, end: number): number;
  tunnelTargetEnded(): void;
  endTunnel(): void;
}

export interface ConnectContext {
  wheel: Wheel;
  draining: boolean;
  /** How names become addresses; the system's way if absent. */
  lookup?: net.LookupFunction | undefined;
}

type Failure = 'tunnel-denied' | 'tunnel-limit' | 'tunnel-unreachable' | 'tunnel-timeout';

const NO_DESCRIPTOR = 'the gateway has no descriptor, port or memory left';
const OPENED_PREFIX = ascii('HTTP/1.1 200 OK\r\nVia: 1.1 davy\r\n');
const CRLF = ascii('\r\n');

export class Connect implements ChannelOwner, Timed {
  deadlineMs = 0;
  wheelNext: Timed | null = null;
  wheelPrevious: Timed | null = null;
  wheelSlot = -1;

  private readonly client: ConnectClient;
  private readonly route: Route;
  private readonly policy: ConnectPolicy;
  private readonly context: ConnectContext;
  private readonly startedMs: number;
  private target = '';
  private channel: Channel | null = null;
  private tunnel: Tunnel | null = null;
  private flag: number = F.none;
  /** Counted as open, and not yet given back. */
  private holds = false;
  /** Its place among the tunnels. */
  private place: Places | null = null;

  constructor(client: ConnectClient, route: Route, policy: ConnectPolicy, context: ConnectContext) {
    this.client = client;
    this.route = route;
    this.policy = policy;
    this.context = context;
    this.startedMs = stamp();
  }

  /** Decides at once, or begins to connect. `written`: the request target as the client wrote it. */
  begin(head: Head, written: string): void {
    const { state } = this.route;
    if (head.chunked || head.contentLength > 0) {
      state.own.badRequest++;
      this.refuse(400, 'bad-request', 'a CONNECT request has no content', F.clientProtocol);
      return;
    }
    const limited = limitRefusal(this.route, this.startedMs, false, true);
    if (limited !== null) {
      state.own.limiter++;
      this.book(limited.answer.status, limited.flag);
      this.client.answerOwn(limited.answer);
      return;
    }
    const target = this.policy.find(written);
    const authority = target === null ? null : parseAuthority(target);
    if (target === null || authority === null) {
      this.fail('tunnel-denied', 'the target is not among those that are allowed', F.noRoute);
      return;
    }
    this.target = target;
    const { maxTunnels } = this.policy.config;
    if (this.context.draining) this.fail('tunnel-limit', 'the gateway is draining', F.overflow);
    else if (!descriptors.mayConnect()) this.fail('tunnel-limit', NO_DESCRIPTOR, F.overload);
    else if (state.limits.tunnels?.take(this.startedMs) === false)
      this.fail('tunnel-limit', `${maxTunnels} tunnels are open, which is the limit`, F.overflow);
    else this.dial(authority, state.limits.tunnels);
  }

  /** Whether a table that comes into force still allows it; a tunnel to a target that was struck out ends. */
  isAllowedBy(route: Route): boolean {
    return route.connect?.find(this.target) != null;
  }

  private dial({ host, port }: Authority, place: Places | null): void {
    this.holds = true;
    this.place = place;
    this.route.state.tunnels.open++;
    const { connectMs, privateAddresses } = this.policy.config;
    const lookup = guardedLookup(this.context.lookup ?? systemLookup, privateAddresses);
    const to = new HostAddress(host, { lookup });
    this.context.wheel.set(this, this.startedMs + connectMs);
    this.channel = Channel.connect(to, port, this, () => this.connected());
  }

  private connected(): void {
    const { channel, client, context } = this;
    if (channel === null || channel.closed) return;
    context.wheel.clear(this);
    this.route.state.tunnels.opened++;
    client.channel.writeStable(Buffer.concat([OPENED_PREFIX, currentDate(), CRLF]));
    this.tunnel = new Tunnel(client.channel, channel, this.policy.config.idleMs);
    client.openTunnel(this.tunnel);
  }

  // ---- the target's side ---------------------------------------------------------------------------------------------

  onBytes(buf: Buffer, start: number, end: number): void {
    this.route.state.tunnels.receivedBytes += end - start;
    this.client.tunnelToClient(buf, start, end);
  }

  onEnd(): void {
    if (this.tunnel !== null) this.client.tunnelTargetEnded();
  }

  onDrain(): void {
    this.client.channel.resume();
  }

  onClose(error: NodeJS.ErrnoException | undefined): void {
    this.context.wheel.clear(this);
    this.channel = null;
    if (this.tunnel !== null) {
      if (error !== undefined && this.flag === F.none) this.flag = F.reset;
      this.over();
      this.client.endTunnel();
    } else if (this.holds) {
      this.unreachable(error?.code);
    }
  }

  /** The time for connecting is over. */
  onDeadline(): void {
    const { channel } = this;
    this.channel = null;
    this.fail('tunnel-timeout', `no connection within ${this.policy.config.connectMs} ms`, F.connectFailure);
    channel?.destroy();
  }

  private unreachable(code: string | undefined): void {
    if (code === FORBIDDEN_ADDRESS)
      this.fail('tunnel-denied', 'the name leads to no address that is allowed', F.noRoute);
    else if (isShortage(code)) this.fail('tunnel-limit', NO_DESCRIPTOR, F.overload);
    else if (code === 'ETIMEDOUT') this.fail('tunnel-timeout', 'the target did not answer', F.connectFailure);
    else if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
      this.fail('tunnel-unreachable', 'the name of the target could not be resolved', F.dnsFailure);
    else this.fail('tunnel-unreachable', 'the target could not be connected to', F.connectFailure);
  }

  // ---- the client's side ---------------------------------------------------------------------------------------------

  fromClient(octets: number): void {
    this.route.state.tunnels.sentBytes += octets;
  }

  clientGone(): void {
    if (this.tunnel === null) {
      // It left while we connected: nobody is left to be answered.
      const { channel } = this;
      this.channel = null;
      if (this.holds) this.book(0, F.clientLeft);
      this.release();
      channel?.destroy();
      return;
    }
    this.over();
  }

  /** Nothing moved for too long. */
  idle(): void {
    this.flag = F.streamIdle;
    this.route.state.tunnels.idle++;
  }

  // ---- ends ----------------------------------------------------------------------------------------------------------

  private fail(name: Failure, detail: string, flag: number): void {
    const { tunnels } = this.route.state;
    if (name === 'tunnel-denied') tunnels.denied++;
    else if (name === 'tunnel-limit') tunnels.shed++;
    else tunnels.failed++;
    this.refuse(gatewayErrors[name].http, name, detail, flag, name === 'tunnel-limit' ? 'Retry-After: 1\r\n' : '');
  }

  private refuse(status: number, cause: Cause, detail: string, flag: number, extra = ''): void {
    this.release();
    this.book(status, flag);
    this.client.answerOwn({ status, cause, detail, headOnly: false, close: true, extra });
  }

  /** The tunnel is over, from whichever side; once. */
  private over(): void {
    if (!this.holds) return;
    this.release();
    this.book(200, this.flag);
  }

  private release(): void {
    this.context.wheel.clear(this);
    if (this.holds) this.route.state.tunnels.open--;
    this.holds = false;
    this.place?.give();
    this.place = null;
  }

  private book(status: number, flag: number): void {
    const { state, config } = this.route;
    const key = `${status} ${flag}`;
    state.ownCodes.set(key, (state.ownCodes.get(key) ?? 0) + 1);
    const share = config.accessLogShare ?? 0;
    if (share === 0 || randomShare() >= share) return;
    writeAccessLine({
      service: config.service,
      version: null,
      instance: null,
      cohort: 'weight',
      // Only a target of the list is written: what else a client asks for is its own text.
      head: ascii(`CONNECT ${this.target || '-'} HTTP/1.1\r\n`),
      status,
      flag,
      durationMs: stamp() - this.startedMs,
      tries: 1,
      ...(this.tunnel === null ? {} : { sentBytes: this.tunnel.sentBytes, receivedBytes: this.tunnel.receivedBytes }),
    });
  }
}
