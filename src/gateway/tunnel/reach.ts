/**
 * Which addresses a name may lead a tunnel to. The allow-list names targets; what a name means is decided by DNS, which others may
 * control, so an answer that points inside (DNS rebinding) must not open a way in. Ranges: the special-purpose address registries
 * (RFC 6890 and its updates at IANA).
 */
import net from 'node:net';

/** Own networks: reachable by name only where the route says so. */
const PRIVATE = ranges(
  ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '127.0.0.0/8'],
  ['::1/128', 'fc00::/7'],
);

/**
 * Never by name: unspecified, link-local (the metadata services of clouds live there), documentation and test networks, multicast and
 * reserved.
 */
const NEVER = ranges(
  [
    '0.0.0.0/8',
    '169.254.0.0/16',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '224.0.0.0/3',
  ],
  ['2001::/23', '2001:db8::/32', '2002::/16'],
);

/** All unicast that IANA has given out; what lies outside of it is private, above, or nobody's. */
const GLOBAL_IPV6 = ranges([], ['2000::/3']);

function ranges(ipv4: readonly string[], ipv6: readonly string[]): net.BlockList {
  const list = new net.BlockList();
  const add = (cidr: string, family: 'ipv4' | 'ipv6') => {
    const [address = '', bits = ''] = cidr.split('/');
    list.addSubnet(address, Number(bits), family);
  };
  for (const cidr of ipv4) add(cidr, 'ipv4');
  for (const cidr of ipv6) add(cidr, 'ipv6');
  return list;
}

/** Whether an address that a name resolved to may be connected to. `mayBePrivate`: own networks and loopback, too. */
export function mayReach(address: string, mayBePrivate: boolean): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  const plain = mapped?.[1] ?? address;
  const family = net.isIPv4(plain) ? 'ipv4' : 'ipv6';
  if (net.isIP(plain) === 0 || NEVER.check(plain, family)) return false;
  if (PRIVATE.check(plain, family)) return mayBePrivate;
  return family === 'ipv4' || GLOBAL_IPV6.check(plain, family);
}

/** The code of the error when a name leads nowhere that may be reached. */
export const FORBIDDEN_ADDRESS = 'EFORBIDDENADDRESS';
/** Addresses of one name that are tried. */
const MAX_ADDRESSES = 8;

/** A lookup for `net.connect` that hands on only addresses that may be reached: the ones checked are the ones connected to. */
export function guardedLookup(lookup: net.LookupFunction, mayBePrivate: boolean): net.LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, '', 0);
        return;
      }
      const list = Array.isArray(found) ? found : [{ address: found, family: net.isIPv6(found) ? 6 : 4 }];
      const fit = list.filter(({ address }) => mayReach(address, mayBePrivate)).slice(0, MAX_ADDRESSES);
      const first = fit[0];
      if (first === undefined) {
        callback(Object.assign(new Error('no address that may be reached'), { code: FORBIDDEN_ADDRESS }), '', 0);
      } else if (options.all === true) callback(null, fit);
      else callback(null, first.address, first.family);
    });
  };
}
