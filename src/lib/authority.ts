import net from 'node:net';

/** `host:port` taken apart; the host in lower case, IPv6 in its shortest form and without brackets. */
export interface Authority {
  host: string;
  /** 1..65535. */
  port: number;
}

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Reads `uri-host ":" port` (RFC 9110 section 4.2, RFC 9112 section 3.2.3) strictly: a name of letters, digits and hyphens (RFC 1123
 * section 2.1), an IPv4 address as four numbers, or an IPv6 address in brackets without a zone. Null for anything else: percent
 * encoding, a final dot, and numbers that some resolvers take for an address (`0x7f.1`, `127.1`) have more than one reading.
 */
export function parseAuthority(text: string): Authority | null {
  const match = /^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):([1-9]\d{0,4})$/.exec(text);
  if (match === null) return null;
  const [, written = '', digits = ''] = match;
  const port = Number(digits);
  const host = written.startsWith('[') ? ipv6(written.slice(1, -1)) : nameOrIpv4(written.toLowerCase());
  return host === null || port > 65_535 ? null : { host, port };
}

function ipv6(text: string): string | null {
  return net.isIPv6(text) ? new net.SocketAddress({ address: text, family: 'ipv6' }).address : null;
}

function nameOrIpv4(text: string): string | null {
  if (net.isIPv4(text)) return text;
  const labels = text.split('.');
  // A last label that begins with a digit is a number to somebody (WHATWG URL, "ends in a number").
  return labels.every((label) => LABEL.test(label)) && !/^\d/.test(labels.at(-1) ?? '') ? text : null;
}

/** The one way an authority is written. */
export function formatAuthority({ host, port }: Authority): string {
  return net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
