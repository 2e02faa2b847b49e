import { afterEach, describe, expect, it } from 'vitest';
import type { FaultAction, FaultRule } from '../../traffic/faults.ts';
import {
  answering,
  get,
  startGateway,
  startUpstream,
  statusOf,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';

let gateway: TestGateway;
let upstreams: TestUpstream[];

async function start(route = {}, answer?: string): Promise<void> {
  upstreams = [await startUpstream(answering(answer)), await startUpstream(answering(answer))];
  gateway = await startGateway({ stable: upstreams, route });
}

afterEach(async () => {
  await gateway.close();
  for (const upstream of upstreams) await upstream.close();
});

function rule(action: FaultAction, more: Partial<FaultRule['scope']> = {}, ttlMs = 60_000): FaultRule {
  return {
    id: 'x-1',
    action,
    ttlMs,
    scope: { service: 'svc', version: null, instances: null, zone: null, share: 1, ...more },
  };
}

const firstTries = () =>
  gateway.engine.counters().services[0]!.instances.reduce((sum, one) => sum + one.firstTry.requests, 0);
const own = () => gateway.engine.counters().services[0]!.own;

describe('injected faults', () => {
  it('delay: the request waits, the wait is measured, and the judge does not see it', async () => {
    await start();
    gateway.engine.inject([rule({ kind: 'delay', delayMs: 300 })]);
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
    const [report] = gateway.engine.faultReports();
    expect(report).toMatchObject({ matched: 1, injected: 1 });
    expect(report!.addedMsSum).toBeGreaterThanOrEqual(299);
    const tally = gateway.engine.counters().services[0]!.instances.find((one) => one.outcome.requests === 1)!;
    expect(tally.outcome.over[0]).toBe(1);
    expect(tally.firstTry.over[0]).toBe(0);
  });

  it('abort: an own answer with its cause and id, charged to no version', async () => {
    await start();
    gateway.engine.inject([rule({ kind: 'abort', status: 503 })]);
    expect(await gateway.exchange(get())).toMatch(
      /^HTTP\/1\.1 503 .*x-davy-cause: injected\r\n.*x-fault-injected: x-1\r\n/s,
    );
    expect(own().injected).toBe(1);
    expect(firstTries()).toBe(0);
    expect(upstreams[0]!.received() + upstreams[1]!.received()).toBe('');
  });

  it('abort on one instance is what retries are for', async () => {
    await start({ retries: { maxTries: 3, perTryMs: 1000, budgetShare: 0.2 } });
    gateway.engine.inject([rule({ kind: 'abort', status: 503 }, { instances: ['svc/v1/0'] })]);
    for (let i = 0; i < 4; i++) expect(statusOf(await gateway.exchange(get()))).toBe(200);
    expect(upstreams[0]!.received()).toBe('');
    expect(gateway.engine.faultReports()[0]!.injected).toBeGreaterThan(0);
  });

  it('delay that leaves too little of the time: the fault is charged, not the version', async () => {
    await start({ timeoutMs: 300 });
    for (const one of upstreams) one.script = () => {};
    gateway.engine.inject([rule({ kind: 'delay', delayMs: 100 })]);
    expect(await gateway.exchange(get())).toMatch(/^HTTP\/1\.1 504 .*x-davy-cause: injected\r\n/s);
    expect(own().injected).toBe(1);
    const counted = gateway.engine.counters().services[0]!.instances.map(({ firstTry }) => firstTry.timeouts);
    expect(Math.max(...counted)).toBe(0);
  });

  it('blackhole: silence until the time-out', async () => {
    await start({ timeoutMs: 100 });
    gateway.engine.inject([rule({ kind: 'blackhole' })]);
    expect(await gateway.exchange(get())).toMatch(/^HTTP\/1\.1 504 .*x-davy-cause: injected/s);
    expect(own().injected).toBe(1);
  });

  it('bandwidth: the same octets, later', async () => {
    const body = 'x'.repeat(30_000);
    await start({}, `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    gateway.engine.inject([rule({ kind: 'bandwidth', bytesPerSecond: 100_000 })]);
    const startedMs = performance.now();
    expect((await gateway.exchange(get())).endsWith(`\r\n\r\n${body}`)).toBe(true);
    // 30 kB at 100 kB/s: at least 0.2 s, whatever the machine does.
    expect(performance.now() - startedMs).toBeGreaterThan(200);
  });

  it('ends with its lease, and by clearing', async () => {
    await start();
    gateway.engine.inject([rule({ kind: 'abort', status: 500 }, {}, 1000)]);
    expect(statusOf(await gateway.exchange(get()))).toBe(500);
    await new Promise((resolve) => setTimeout(resolve, 1050));
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
    gateway.engine.inject([rule({ kind: 'abort', status: 500 })]);
    gateway.engine.clearFaults('all');
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
  });
});
