import { isIP } from 'node:net';
import { z } from 'zod';
import { parseAuthority } from '../../lib/authority.ts';
import { duration, field, integer, named, refuse, share, text } from '../fields.ts';
import { upstreamProtocols } from '../gateway-model.ts';
import { versionName } from './names.ts';

const headerName = (description: string, example: string) =>
  named({
    description,
    example,
    pattern: /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/,
    rule: 'be the name of an HTTP header (RFC 9110 section 5.1), at most 64 characters',
  });

const headerValue = (description: string, example: string) =>
  named({ description, example, pattern: /^[\x20-\x7e]{1,256}$/, rule: 'be 1 to 256 visible ASCII characters' });

const condition = z
  .strictObject({
    header: headerName('The header that is looked at. One that stands several times matches only `present`.', 'x-team'),
    is: headerValue('The value must be exactly this.', 'blue').optional(),
    startsWith: headerValue('The value must begin with this.', 'bl').optional(),
    present: field(z.boolean(), {
      description: 'true: the header is there; false: it is not.',
      example: true,
    }).optional(),
  })
  .check((context) => {
    const { is, startsWith, present } = context.value;
    const given = [is, startsWith, present].filter((one) => one !== undefined).length;
    if (given !== 1) refuse(context, { kind: 'bad-value' }, 'needs exactly one of is, startsWith and present');
  });

const cidr = z.string().check((context) => {
  const [address = '', bits, more] = context.value.split('/');
  const family = isIP(address);
  const widest = family === 4 ? 32 : 128;
  const ok =
    family !== 0 && more === undefined && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= widest));
  if (!ok) refuse(context, { kind: 'bad-value' }, 'must be an IP address or a CIDR such as 10.0.0.0/8');
});

const rule = z.strictObject({
  to: field(z.enum(['stable', 'canary']), {
    description: 'Which version serves a request that matches.',
    example: 'canary',
  }),
  when: field(z.array(condition).min(1).max(16), {
    description: 'All of these must hold.',
    example: [{ header: 'x-team', is: 'blue' }],
  }),
});

const sticky = z.strictObject({
  cookie: named({
    description:
      "Name of the signed cookie that holds a client's place in the split; without it `davy-place-` and the name of the service. Cookies know no ports: " +
      'services that clients reach under one host name need names of their own.',
    example: 'shop-place',
    pattern: /^[A-Za-z0-9_-]{1,80}$/,
    rule: 'be 1 to 80 letters, digits, _ or -',
  }).optional(),
  maxAge: duration({
    description: 'How long a client keeps its place.',
    example: '7d',
    default: '7d',
    min: '1m',
    max: '365d',
  }).optional(),
});

const mirror = z.strictObject({
  version: versionName('The version that gets copies of safe requests; it must be running.', 'v2'),
  share: share({
    description: 'Share of the requests that is copied.',
    example: '10%',
    default: '100%',
    min: '0%',
    max: '100%',
  }).optional(),
  concurrent: integer({
    description: 'Copies in progress at once; beyond it none are made.',
    example: 16,
    default: 16,
    min: 1,
    max: 1000,
  }).optional(),
});

const breaker = z.strictObject({
  consecutive5xx: integer({
    description: 'Failures in a row, over all instances, after which the gateway answers 503 by itself.',
    example: 20,
    min: 1,
    max: 10_000,
  }),
  open: duration({
    description: 'How long until one request may probe the service.',
    example: '30s',
    min: '100ms',
    max: '1h',
  }),
});

const cap = (description: string, example: number) =>
  integer({ description, example, min: 1, max: 1_000_000 }).optional();

const caps = z.strictObject({
  connections: cap('Connections to one instance.', 256),
  pending: cap('Requests that wait for a new connection.', 128),
  requests: cap('Requests in progress; the rest is answered with 503.', 1000),
});

const target = z.string().check((context) => {
  const authority = parseAuthority(context.value);
  const rule = 'must be host:port, with a name, an IPv4 address or an IPv6 address in brackets';
  if (authority === null) refuse(context, { kind: 'bad-value' }, rule);
  else if (/^(0\.|22[4-9]\.|2[3-5]\d\.|::$|ff)/.test(authority.host) && isIP(authority.host) !== 0)
    refuse(context, { kind: 'bad-value' }, 'must not be the unspecified, a multicast or a reserved address');
});

const connect = z.strictObject({
  allow: field(z.array(target).min(1).max(256), {
    description: 'The targets, each with its port; a tunnel leads to one of them or is refused with 403.',
    example: ['registry.example:443'],
  }),
  private: field(z.boolean(), {
    description:
      'A name in the list may lead to private and loopback addresses. An address in the list is reached in any case.',
    example: true,
    default: false,
  }).optional(),
  concurrent: integer({
    description: 'Tunnels open at once; the rest is answered with 503.',
    example: 100,
    default: 100,
    min: 1,
    max: 10_000,
  }).optional(),
  timeout: duration({
    description: 'Time for resolving the name and connecting; 504 after it.',
    example: '5s',
    default: '5s',
    min: '100ms',
    max: '1m',
  }).optional(),
  idle: duration({
    description: 'A tunnel in which nothing moves for this long is closed.',
    example: '5m',
    default: '5m',
    min: '1s',
    max: '24h',
  }).optional(),
});

const file = (description: string, example: string) => text({ description, example, max: 1000 });

const tls = z.strictObject({
  certificates: field(
    z
      .array(
        z.strictObject({
          cert: file("PEM file with the certificate and its chain, relative to the spec's folder.", 'tls/shop.pem'),
          key: file('PEM file with the key.', 'tls/shop.key'),
          names: field(z.array(z.string().max(253)).max(100), {
            description:
              'Server names (SNI) it is used for; `*.` covers one label. The first certificate serves all others.',
            example: ['shop.example'],
            default: [],
          }).optional(),
        }),
      )
      .min(1)
      .max(64),
    {
      description: 'Certificates; read again when the files change.',
      example: [{ cert: 'tls/shop.pem', key: 'tls/shop.key' }],
    },
  ),
  clientCa: file('PEM file of the CA whose certificates clients must show (mutual TLS).', 'tls/clients.pem').optional(),
  allow: field(z.array(z.string().max(1000)).max(1000), {
    description: 'Names (DNS or URI) of which a client certificate must carry one; empty allows all of the CA.',
    example: ['spiffe://shop/web'],
    default: [],
  }).optional(),
});

/** Fields of `traffic` that only the built-in gateway knows. */
export const gatewayFields = {
  rules: field(z.array(rule).max(64), {
    description:
      'Requests that go to one version by their headers, while a release is in flight; the first rule that matches decides.',
    example: [{ to: 'canary', when: [{ header: 'x-team', is: 'blue' }] }],
    default: [],
  }).optional(),
  sticky: field(sticky, {
    description:
      'Clients keep their place in the split: a rising weight moves them to the canary once, a falling one back.',
    example: { cookie: 'shop-place' },
  }).optional(),
  mirror: field(mirror, {
    description:
      'Copies of safe requests (GET, HEAD, OPTIONS without a body) go to another version; their answers are dropped.',
    example: { version: 'v2', share: '10%' },
  }).optional(),
  breaker: field(breaker, {
    description: 'Stops calling a service that only fails.',
    example: { consecutive5xx: 20, open: '30s' },
  }).optional(),
  caps: field(caps, {
    description: 'Bounds of concurrency; what is beyond gets 503.',
    example: { requests: 1000 },
  }).optional(),
  slowStart: duration({
    description: 'A new instance gets its full share only after this time.',
    example: '30s',
    min: '1s',
    max: '1h',
  }).optional(),
  drain: duration({
    description:
      'What is open on a version that gets no more traffic (rolled back, replaced, weight 0) may go on for this long: requests, streams, WebSockets. Then it is cut.',
    example: '2m',
    default: '30s',
    min: '0s',
    max: '24h',
  }).optional(),
  zone: named({
    description:
      'The zone that the gateway stands in: instances of this zone are preferred while enough of them are fit.',
    example: 'eu-west-1a',
    pattern: /^[A-Za-z0-9._-]{1,64}$/,
    rule: 'be 1 to 64 letters, digits, . _ or -',
  }).optional(),
  limitMode: field(z.enum(['enforce', 'shadow']), {
    description: '`shadow`: count what `rateLimit` would refuse, and let it pass.',
    example: 'shadow',
    default: 'enforce',
  }).optional(),
  trustedProxies: field(z.array(cidr).max(256), {
    description: 'Addresses or CIDRs of proxies whose Forwarded and X-Forwarded-* headers are believed and extended.',
    example: ['10.0.0.0/8'],
    default: [],
  }).optional(),
  accessLog: share({
    description: "Share of requests written to the gateway's log, without query and headers.",
    example: '1%',
    default: '0%',
    min: '0%',
    max: '100%',
  }).optional(),
  protocol: field(z.enum(upstreamProtocols), {
    description:
      'What the instances speak, whatever clients speak: HTTP/1.1, cleartext HTTP/2 (`h2c`), or gRPC, which is h2c too. gRPC calls need `grpc` or `h2c`.',
    example: 'grpc',
    default: 'http1',
  }).optional(),
  connect: field(connect, {
    description:
      '`CONNECT`: tunnels through this port, to the listed targets only. Without it every CONNECT is refused.',
    example: { allow: ['registry.example:443'] },
  }).optional(),
  tls: field(tls, {
    description: 'The gateway terminates TLS on this port, HTTP/2 included.',
    example: { certificates: [{ cert: 'tls/shop.pem', key: 'tls/shop.key' }] },
  }).optional(),
};
