import http2 from 'node:http2';
import type { HostAddress } from '../../lib/host-address.ts';
import { Channel } from '../net/channel.ts';
import { oldAtMs } from '../net/connection-age.ts';
import { recent, stamp } from '../net/now.ts';
import type { Fields } from './fields.ts';
import { FrameScan } from './frame-scan.ts';
import { Wire } from './wire.ts';

const SESSION_IDLE_MS = 30_000;
/** The first is an option of clients too (https://nodejs.org/api/http2.html#http2connectauthority-options-listener). */
const OPTIONS = { strictSingleValueFields: false, settings: { enablePush: false } };

/** Who waits for a session, or has a stream of it. */
export interface SessionUser {
  /** The session carries streams from now on. */
  onSession(): void;
  /** It could not be opened. `error`: the system's. */
  onSessionFailed(error: Error | undefined): void;
  /** The instance sends no more: what has come is to be taken now, however slow its reader is. */
  takeRest(): void;
}

/** One session per instance address, the one that takes new streams; the last use decides when an idle one is closed. */
const sessions = new Map<string, UpstreamSession>();

/**
 * A cleartext session with an instance (prior knowledge: RFC 9113 section 3.3), shared by the streams to it. It outlives its place in the list
 * as long as streams are open: after GOAWAY they end in their time (section 6.8), and new ones go over the next session.
 */
export class UpstreamSession {
  /** What the instance sent, as far as node:http2 does not tell. */
  readonly scan = new FrameScan('server');
  private readonly address: string;
  private readonly users = new Set<SessionUser>();
  private readonly channel: Channel;
  private session: http2.ClientHttp2Session | null = null;
  /** Where it leads, once it is open, and when no stream is begun on it any more. */
  private reached: string | null = null;
  private readonly oldAtMs = oldAtMs(stamp());
  /** Takes no new streams. */
  private retired = false;

  /** The session that takes new streams of this instance, which may not be open yet. */
  static to(host: HostAddress, port: number): UpstreamSession {
    const address = `${host.host} ${port}`;
    const known = sessions.get(address);
    if (known?.leadsTo(host) === true) return known;
    known?.end();
    const session = new UpstreamSession(host, port, address);
    sessions.set(address, session);
    return session;
  }

  private constructor(host: HostAddress, port: number, address: string) {
    this.address = address;
    const wire = new Wire(this.scan, () => this.onWireEnd());
    wire.on('close', () => this.onWireClosed(wire.failure));
    this.channel = Channel.connect(host, port, wire, () => this.open(wire, host));
    wire.attach(this.channel);
  }

  private open(wire: Wire, host: HostAddress): void {
    this.reached = host.current;
    const session = http2.connect('http://localhost', { ...OPTIONS, createConnection: () => wire });
    this.session = session;
    session.on('error', () => {});
    session.on('close', () => this.retire());
    session.on('goaway', () => this.retire());
    session.setTimeout(SESSION_IDLE_MS, () => this.end());
    // Idle, it does not keep the process.
    this.channel.socket.unref();
    for (const user of this.users) user.onSession();
  }

  /** `user.onSession` follows, or `onSessionFailed`; also at once. */
  join(user: SessionUser): void {
    this.users.add(user);
    if (this.isOpen) setImmediate(() => this.users.has(user) && user.onSession());
  }

  leave(user: SessionUser): void {
    this.users.delete(user);
    // Nobody waits any more: the next request tries anew.
    if (this.session === null && this.users.size === 0) this.channel.destroy();
  }

  /** Whether a stream that is begun now is carried. */
  get isOpen(): boolean {
    return this.session !== null && !this.retired && !this.session.closed && !this.session.destroyed;
  }

  /** Whether the instance has said that it has not worked on a stream of this session, or it was never sent. */
  leavesOut({ id }: http2.ClientHttp2Stream): boolean {
    return id === undefined || id > this.scan.lastStream;
  }

  /** Throws what node:http2 throws. */
  request(fields: Fields, options: http2.ClientSessionRequestOptions): http2.ClientHttp2Stream {
    return (this.session as http2.ClientHttp2Session).request(fields, options);
  }

  /** Not yet too old, and at the address that the host has now; one that is not open yet will be. */
  private leadsTo(host: HostAddress): boolean {
    return this.session === null || (this.reached === host.current && recent() < this.oldAtMs);
  }

  /** Its streams end in their time, and then the connection. */
  private end(): void {
    this.retire();
    this.session?.close();
  }

  private retire(): void {
    this.retired = true;
    if (sessions.get(this.address) === this) sessions.delete(this.address);
  }

  private onWireEnd(): void {
    this.retire();
    for (const user of this.users) user.takeRest();
  }

  private onWireClosed(error: Error | undefined): void {
    this.retire();
    if (this.session === null) for (const user of this.users) user.onSessionFailed(error);
  }
}
