import dns from 'node:dns';
import net from 'node:net';

type Found = dns.LookupAddress[];

/** The system's way from a name to its addresses, as it is at the time of the call. */
export const systemLookup: net.LookupFunction = (name, options, done) => dns.lookup(name, options, done);

/**
 * A host, and the one of its addresses that is in use. A name may have several addresses and may move; whoever connects through the same
 * object reaches the same one, so that a health check says something of the host that gets the traffic. The address in use is kept as
 * long as the name has it and it can be connected to.
 */
export class HostAddress {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  /** False: the host is an address itself, and never moves. */
  readonly isName: boolean;
  private readonly resolve: net.LookupFunction;
  private readonly onMoved: () => void;
  private inUse: string | null = null;
  /** Answered no more: it is tried behind the others. */
  private passedOver = false;
  /** What the resolver said last. */
  private known: Found = [];

  /** `onMoved`: another address is in use, or none. */
  constructor(host: string, options: { lookup?: net.LookupFunction | undefined; onMoved?: () => void } = {}) {
    this.host = host;
    this.isName = net.isIP(host) === 0;
    this.resolve = options.lookup ?? systemLookup;
    this.onMoved = options.onMoved ?? (() => {});
  }

  /** Null until a connection was made, and from the time at which the name has it no more. */
  get current(): string | null {
    return this.isName ? this.inUse : this.host;
  }

  /** What `net.connect`, `http.request` and their like take of it. */
  get connectOptions(): { host: string; lookup: net.LookupFunction } {
    return { host: this.host, lookup: this.lookup };
  }

  /**
   * For `net.connect` and what is built on it, which try the addresses in the order given. While the resolver has no answer (`EAI_AGAIN`
   * and the like) the address in use stays the only one; a name that does not exist any more has none.
   */
  readonly lookup: net.LookupFunction = (name, options, done) => {
    this.resolve(name, { ...options, all: true }, (error, found) => {
      if (error !== null && (this.inUse === null || error.code === 'ENOTFOUND')) {
        this.use(null);
        done(error, '', 0);
        return;
      }
      const addresses = error === null ? this.ordered(listOf(found)) : listOf(this.inUse as string);
      const [first] = addresses;
      if (options.all === true) done(null, addresses);
      else done(null, first?.address ?? '', first?.family ?? 0);
    });
  };

  /** A connection was made to this address (`remoteAddress` of its socket). */
  reached(address: string | undefined): void {
    if (!this.isName || address === undefined) return;
    // The resolver's way of writing it has the zone that a link-local address needs.
    const written = this.known.find((one) => isSame(one.address, address))?.address ?? address;
    if (written !== this.inUse) this.passedOver = false;
    this.use(written);
  }

  /** The address in use can be connected to and does not do its work: the next connection tries the others first. */
  passOver(): void {
    this.passedOver = true;
  }

  private ordered(found: Found): Found {
    this.known = found;
    const at = found.findIndex((one) => isSame(one.address, this.inUse));
    if (at < 0) {
      this.use(null);
      return found;
    }
    const [before, after] = [found.slice(0, at), found.slice(at + 1)];
    // All round, so that each of them has its turn.
    if (this.passedOver) return [...after, ...before, ...found.slice(at, at + 1)];
    return [...found.slice(at, at + 1), ...before, ...after];
  }

  private use(address: string | null): void {
    const moved = address !== this.inUse;
    this.inUse = address;
    if (moved) this.onMoved();
  }
}

function listOf(found: string | Found): Found {
  return typeof found === 'string' ? [{ address: found, family: net.isIPv6(found) ? 6 : 4 }] : found;
}

/** Link-local addresses may carry a zone in one place and none in another. */
function isSame(one: string, other: string | null): boolean {
  return other !== null && one.split('%')[0] === other.split('%')[0];
}
