import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { testPort } from '../../lib/test-port.fixture.ts';
import type { TlsRoute } from '../../traffic/model.ts';
import { renderExposition } from '../admin/exposition.ts';
import { limits } from '../limits.ts';
import { Callers } from '../stats/caller-stats.ts';
import {
  answering,
  connectRaw,
  get,
  type RouteParts,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
  tableOf,
} from '../testing/harness.ts';
import { certifiedNames } from './caller.ts';

const DIR = join(import.meta.dirname, '../testing/certificates');
const CALLER = 'x-envoy-downstream-service-cluster';

let gateway: TestGateway;
let upstream: TestUpstream;

/** The service `svc`, and beside it services that call it. */
async function start(names: string[], route: RouteParts['route'] = {}): Promise<void> {
  upstream = await startUpstream(answering());
  gateway = await startGateway({ stable: [upstream], route });
  await applyWith(names, route, 2);
}

async function applyWith(names: string[], route: RouteParts['route'], generation: number): Promise<void> {
  const table = tableOf(gateway.port, generation, { stable: [upstream], ...(route ? { route } : {}) });
  for (const service of names) {
    const other = tableOf(await testPort(), 1, { stable: [upstream], route: { service } });
    table.services.push(...other.services);
  }
  await gateway.engine.apply(table);
}

const as = (name: string) => get('/', `${CALLER}: ${name}\r\n`);

function seen(): Record<string, number> {
  const callers = gateway.engine.counters().services.find(({ service }) => service === 'svc')?.callers ?? [];
  return Object.fromEntries(callers.map(({ caller, kind, outcome }) => [`${kind} ${caller}`, outcome.requests]));
}

describe('callers', () => {
  afterEach(async () => {
    await gateway.close();
    await upstream.close();
  });

  it('are counted by the service that the header names; other names are one caller, and no name is another', async () => {
    await start(['front', 'back']);
    for (const request of [as('front'), as('front'), as('back'), as('nobody'), as(''), get()])
      await gateway.exchange(request);
    await gateway.exchange(get('/', `${CALLER}: front\r\n${CALLER}: back\r\n`));
    expect(seen()).toEqual({ 'service front': 2, 'service back': 1, 'unknown unknown': 3, 'external external': 1 });
    expect(upstream.received()).toContain(`${CALLER}: front`);
  });

  it('may change from request to request of one connection', async () => {
    await start(['front', 'back']);
    const client = connectRaw(gateway.port);
    const kept = (name: string) => `GET / HTTP/1.1\r\nHost: svc\r\n${CALLER}: ${name}\r\n\r\n`;
    client.send(kept('front') + kept('front') + kept('back') + as('front'));
    await client.closed();
    expect(seen()).toEqual({ 'service front': 3, 'service back': 1 });
  });

  it('see the own answers of the gateway too, and what they waited', async () => {
    await start(['front'], { rateLimit: { perSecond: 1, burst: 1 } });
    for (let i = 0; i < 3; i++) await gateway.exchange(as('front'));
    const { callers = [] } = gateway.engine.counters().services[0]!;
    expect(callers[0]?.outcome).toMatchObject({ requests: 3, status2xx: 1, status4xx: 2 });
    expect(Date.now() - callers[0]!.lastAtMs).toBeLessThan(60_000);
    const text = renderExposition(gateway.engine.reports(), []);
    const labels = 'source_workload="front",source_app="front",davy_caller="service",destination_service="svc"';
    expect(text).toContain(`davy_gateway_caller_requests_total{${labels}`);
    expect(text).toMatch(/davy_gateway_caller_requests_total\{[^}]*response_code="429"\} 2/);
    expect(text).toMatch(
      /davy_gateway_caller_request_duration_milliseconds_count\{[^}]*source_workload="front"[^}]*\} 3/,
    );
  });

  it('keep their counts when the table changes, and are told apart by the table in force', async () => {
    await start(['front']);
    const client = connectRaw(gateway.port);
    const kept = `GET / HTTP/1.1\r\nHost: svc\r\n${CALLER}: front\r\n\r\n`;
    client.send(kept);
    await client.until(/ok$/);
    await applyWith(['back'], {}, 3);
    client.send(kept);
    await client.until(/ok.*ok$/s);
    expect(seen()).toEqual({ 'service front': 1, 'unknown unknown': 1 });
    client.socket.destroy();
  });

  it('are the service that the client certificate names, whatever the header says', async () => {
    const route: TlsRoute = {
      certificates: [{ names: ['one.test'], certFile: join(DIR, 'one.pem'), keyFile: join(DIR, 'one.key') }],
      clientCaFile: join(DIR, 'ca.pem'),
    };
    await start(['client', 'front'], { tls: route });
    const pem = (name: string) => readFileSync(join(DIR, name));
    const options = { ca: pem('ca.pem'), servername: 'one.test' };
    const own = { ...options, cert: pem('client.pem'), key: pem('client.key') };
    const socket = tls.connect({ port: gateway.port, host: '127.0.0.1', ...own });
    socket.resume().write(as('front'));
    await once(socket, 'close');
    const session = http2.connect(`https://127.0.0.1:${gateway.port}`, own);
    await session.request({ ':path': '/', [CALLER]: 'front' }).toArray();
    session.close();
    expect(seen()).toEqual({ 'service client': 2 });
  });
});

describe('names', () => {
  it('of a certificate stand for a service by DNS name, first label or last segment of a URI', () => {
    expect(
      certifiedNames('DNS:shop.internal, URI:spiffe://trust.domain/ns/default/sa/cart, IP Address:127.0.0.1'),
    ).toEqual(['shop.internal', 'shop', 'cart']);
    expect(certifiedNames('')).toEqual([]);
  });

  it('are bounded: beyond the limit every further service is one caller', () => {
    const callers = new Callers([1]);
    const names = Array.from({ length: limits.callersPerService + 1 }, (_, i) => `s${i}`);
    callers.know(new Set(names));
    expect(new Set(names.map((name) => callers.named(name))).size).toBe(limits.callersPerService + 1);
    expect(callers.named(names.at(-1) as string)).toBe(callers.unknown);
    callers.know(new Set(['later']));
    expect(callers.named('later').kind).toBe('service');
  });
});
