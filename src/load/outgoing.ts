import { isIP } from 'node:net';
import type { Address, OutgoingRequest } from './connection.ts';
import type { LoadPlan, LoadTarget } from './plan.ts';

/** Where requests to a target go. */
export function addressOf({ url }: LoadTarget, { keepAlive, tls }: LoadPlan): Address {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (protocol === 'http:') return { host, port: Number(port || 80), tls: null, keepAlive };
  const serverName = tls.serverName ?? (isIP(host) === 0 ? host : null);
  return { host, port: Number(port || 443), tls: { ...tls, serverName }, keepAlive };
}

export const originOf = (target: LoadTarget): string => new URL(target.url).origin;

/** The octets of a target's requests: they are all alike. */
export function encodeRequest(target: LoadTarget, keepAlive: boolean): OutgoingRequest {
  const url = new URL(target.url);
  const body = target.body === null ? null : Buffer.from(target.body);
  const lines = [
    `${target.method} ${url.pathname}${url.search} HTTP/1.1`,
    `host: ${url.host}`,
    ...Object.entries({ 'user-agent': 'davy-load', ...target.headers }).map(([name, value]) => `${name}: ${value}`),
    ...(keepAlive ? [] : ['connection: close']),
    ...(body === null ? [] : [`content-length: ${body.length}`]),
  ];
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return {
    bytes: body === null ? head : Buffer.concat([head, body]),
    noBody: target.method === 'HEAD',
    keepBody: typeof target.check?.bodyIncludes === 'string',
  };
}
