import { expect, it } from 'vitest';
import { parseSpec } from '../spec/parse.ts';
import { tableProblem } from '../traffic/table-check.ts';
import { gatewayOptions } from './gateway-route.ts';
import type { ReleaseState } from './state.ts';

const FILE = `
davy: 1
system: shop
services:
  web:
    listen: 8081
    stable: v1
    versions: { v1: { run: node a.mjs }, v2: { run: node a.mjs } }
    release: standard
    traffic:
      rules: [{ to: canary, when: [{ header: X-Team, is: blue }, { header: x-no, present: false }] }]
      sticky: { cookie: shop-place }
      mirror: { version: v2, share: 10% }
      breaker: { consecutive5xx: 20, open: 30s }
      caps: { requests: 1000 }
      slowStart: 30s
      drain: 2m
      zone: eu
      limitMode: shadow
      trustedProxies: [10.0.0.0/8]
      accessLog: 1%
      protocol: h2c
      connect: { allow: ['DB.example:5432', '[0:0::1]:9', 'db.example:5432'], concurrent: 5, idle: 1m }
      tls: { certificates: [{ cert: tls/a.pem, key: tls/a.key, names: [a.test] }], clientCa: tls/ca.pem, allow: [spiffe://a] }
policies:
  standard: { steps: [{ weight: 100%, hold: 1s, limits: { errors: 1% } }] }
`;

it('takes every setting from the file to a route that a data plane accepts', () => {
  const { spec } = parseSpec(FILE, '/srv/shop/davy.yaml');
  const release = { id: 'web-7' } as ReleaseState;
  const options = gatewayOptions(spec.services.web?.traffic.gateway, {
    specFile: spec.source.file,
    release,
    present: ['v1', 'v2'],
  });
  expect(options).toEqual({
    rules: [
      {
        to: 'canary',
        when: [
          { header: 'x-team', match: 'exact', value: 'blue' },
          { header: 'x-no', match: 'absent', value: '' },
        ],
      },
    ],
    sticky: { cookie: 'shop-place', maxAgeS: 604_800, epoch: 7, secret: null },
    mirror: { version: 'v2', share: 0.1, maxConcurrent: 16 },
    breaker: { consecutive5xx: 20, openMs: 30_000 },
    caps: { maxRequests: 1000 },
    slowStartMs: 30_000,
    drainMs: 120_000,
    zone: 'eu',
    rateLimitMode: 'shadow',
    trustedProxies: ['10.0.0.0/8'],
    accessLogShare: 0.01,
    protocol: 'h2c',
    connect: {
      allow: ['db.example:5432', '[::1]:9'],
      privateAddresses: false,
      maxTunnels: 5,
      connectMs: 5000,
      idleMs: 60_000,
    },
    tls: {
      certificates: [{ names: ['a.test'], certFile: '/srv/shop/tls/a.pem', keyFile: '/srv/shop/tls/a.key' }],
      clientCaFile: '/srv/shop/tls/ca.pem',
      allowedSans: ['spiffe://a'],
    },
  });
  const common = { timeoutMs: 1000, retries: null, ejection: null, rateLimit: null, edgesMs: [], canary: null };
  const versions = ['v1', 'v2'].map((version) => ({ version, instances: [] }));
  const route = {
    service: 'web',
    listenHost: '127.0.0.1',
    listenPort: 8081,
    stable: 'v1',
    versions,
    ...common,
    ...options,
  };
  expect(tableProblem({ term: 1, generation: 1, services: [route] })).toBeNull();
});

it('makes no copies for a version that is not in the route', () => {
  const { spec } = parseSpec(FILE, '/srv/shop/davy.yaml');
  const context = { specFile: spec.source.file, release: null, present: ['v1'] };
  expect(gatewayOptions(spec.services.web?.traffic.gateway, context).mirror).toBeUndefined();
  expect(gatewayOptions(undefined, context)).toEqual({});
});

it.each([
  ['mirror: { version: v2,', 'mirror: { version: v9,', 'spec/unknown-version'],
  ['[10.0.0.0/8]', '[10.0.0.0/80]', 'spec/bad-value'],
  ['is: blue }', 'is: blue, present: true }', 'spec/bad-value'],
  ['slowStart: 30s', 'slowStart: 30', 'spec/'],
  ['drain: 2m', 'drain: 25h', 'spec/'],
  ['DB.example:5432', 'db.example', 'spec/bad-value'],
  ['DB.example:5432', '127.1:80', 'spec/bad-value'],
  ['DB.example:5432', '0.0.0.0:80', 'spec/bad-value'],
  ['concurrent: 5', 'concurrent: 0', 'spec/'],
  ['concurrent: 5', 'to: x', 'spec/'],
])('refuses %s as %s', (given, written, code) => {
  let found = '';
  try {
    parseSpec(FILE.replace(given, written), '/srv/shop/davy.yaml');
  } catch (error) {
    found = (error as { code: string }).code;
  }
  expect(found).toContain(code);
});
