import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { readFolder } from '../../src/ledger/reader.ts';
import { sleep, systemClock } from '../../src/lib/clock.ts';
import { findEndpoint } from '../../src/lib/endpoint.ts';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { startLoad, steadyPlan } from '../../src/load/start-load.ts';
import { parseExposition } from '../../src/reports/exposition.ts';
import type { ChaosRunDoc } from '../../src/server/routes/chaos.ts';
import { connectGateway } from '../../src/traffic/gateway-driver.ts';
import { QUICK_POLICY, type Running, SERVICE_FILE, up } from './harness.ts';

let running: Running | undefined;

afterEach(async () => {
  await running?.end();
  running = undefined;
});

/** One service with two instances of v1 and one of v2; `env` is v1's. */
function spec(port: number, env: string, traffic: string): string {
  const policy = QUICK_POLICY.trim().replaceAll('\n', '\n    ');
  return `davy: 1
system: rehearsal
services:
  shop:
    listen: ${port}
    stable: v1
    health: { path: /q/health, every: 200ms, startWithin: 10s }
    traffic: { timeout: 5s, ${traffic} }
    release: quick
    versions:
      v1: { run: "node '${SERVICE_FILE}'", replicas: 2, env: { VERSION: v1, LATENCY_MS: 2${env} } }
      v2: { run: "node '${SERVICE_FILE}'", replicas: 1, env: { VERSION: v2, LATENCY_MS: 2 } }
policies:
  quick:
    ${policy}
chaos:
  experiments:
    slow:
      hypothesis: nobody minds
      probes: [{ name: callers, gateway: shop, errors: 5% }]
      fault: { delay: 100ms }
      scope: { service: shop, share: 50% }
      for: 60s
      steady: 1s
`;
}

async function start(env = '', traffic = 'retries: none'): Promise<{ davy: Running; url: string }> {
  const port = await testPort();
  running = await up(spec(port, env, traffic));
  return { davy: running, url: `http://127.0.0.1:${port}/` };
}

async function runsOf(davy: Running): Promise<ChaosRunDoc[]> {
  return (JSON.parse((await davy.davy('chaos', 'history', '-o', 'json')).stdout) as { runs: ChaosRunDoc[] }).runs;
}

async function injected(davy: Running): Promise<void> {
  while ((await runsOf(davy))[0]?.phase !== 'injected') await sleep(systemClock, 100);
}

test('X01: when everything that could end a fault is killed, it ends where it acts; the next controller says so', async () => {
  const { davy, url } = await start();
  const load = startLoad(steadyPlan({ url, ratePerSecond: 100 }));
  expect((await davy.davy('chaos', 'run', 'slow', '--reason', 'x', '--detach')).code).toBe(0);
  await injected(davy);
  const gateway = connectGateway({ runDir: join(davy.dataDir, 'run') });
  expect((await gateway.faults.reports())[0]!.expiresInMs).toBeGreaterThan(0);
  davy.process.kill('SIGKILL');
  process.kill(findEndpoint(davy.port, process.env)!.pid, 'SIGKILL');
  await once(davy.process, 'exit');
  const killedMs = systemClock.monoMs();
  while ((await gateway.faults.reports())[0]!.expiresInMs > 0) await sleep(systemClock, 100);
  // The lease of 10 s, and 5 s to look.
  expect(systemClock.monoMs() - killedMs).toBeLessThan(15_000);
  await gateway.close();
  await load.stop();
  const next = await davy.again();
  const [run] = await runsOf(next);
  expect(run).toMatchObject({
    phase: 'reverted',
    revertReason: 'found-after-restart',
    conclusion: { verdict: 'INCONCLUSIVE' },
  });
  next.process.kill('SIGTERM');
  await once(next.process, 'exit');
});

test('X05: davy chaos stop --all ends a fault within 5 s', async () => {
  const { davy, url } = await start();
  const load = startLoad(steadyPlan({ url, ratePerSecond: 100 }));
  await davy.davy('chaos', 'run', 'slow', '--reason', 'x', '--detach');
  await injected(davy);
  const refused = await davy.davy('release', 'shop', 'v2', '--reason', 'beside chaos');
  expect(refused.code).toBe(5);
  expect(refused.stderr).toContain('chaos-1');
  const startMs = systemClock.monoMs();
  expect((await davy.davy('chaos', 'stop', '--all', '--reason', 'enough')).stdout).toContain('chaos-1');
  expect(systemClock.monoMs() - startMs).toBeLessThan(5_000);
  const gateway = connectGateway({ runDir: join(davy.dataDir, 'run') });
  expect((await gateway.faults.reports()).every((report) => report.expiresInMs === 0)).toBe(true);
  await gateway.close();
  await load.stop();
});

test('a fault that somebody clears at the gateway stays cleared, and the run is INVALID', async () => {
  const { davy, url } = await start();
  const load = startLoad(steadyPlan({ url, ratePerSecond: 100 }));
  await davy.davy('chaos', 'run', 'slow', '--reason', 'x', '--detach');
  await injected(davy);
  const gateway = connectGateway({ runDir: join(davy.dataDir, 'run') });
  await gateway.faults.clear('all');
  while ((await runsOf(davy))[0]!.conclusion === null) await sleep(systemClock, 100);
  const [run] = await runsOf(davy);
  expect(run).toMatchObject({ revertReason: 'lost', conclusion: { verdict: 'INVALID' } });
  expect(run!.conclusion!.presence!.presentMs).toBeLessThan(60_000);
  expect((await gateway.faults.reports()).map(({ begun, expiresInMs }) => ({ begun, expiresInMs }))).toEqual([
    { begun: 1, expiresInMs: 0 },
  ]);
  const { stdout } = await davy.davy('chaos', 'history');
  expect(stdout).toMatch(/in force \S+ of 1m; hit \d+ of \d+ requests/);
  await gateway.close();
  await load.stop();
});

test('a call cannot make Davy ask addresses that the spec does not know', async () => {
  const { davy } = await start();
  const inline = {
    hypothesis: 'the metadata service answers',
    probes: [{ name: 'metadata', http: 'http://169.254.169.254/latest' }],
    fault: { delay: '100ms' },
    scope: { service: 'shop', share: '10%' },
    for: '1s',
  };
  writeFileSync(join(davy.folder, 'inline.json'), JSON.stringify(inline));
  const outcome = await davy.davy('chaos', 'run', '--inline', join(davy.folder, 'inline.json'), '--reason', 'x');
  expect(outcome.code).toBe(2);
  expect(outcome.stderr).toContain('169.254.169.254');
  expect(await runsOf(davy)).toEqual([]);
});

test('L01: a service that only fails is not drowned in retries', async () => {
  // Every request is answered 502: nothing listens where the service asks on.
  const { davy, url } = await start(
    ', NEXT: "http://127.0.0.1:1"',
    'retries: { maxTries: 3, perTry: 2s, budget: 20% }',
  );
  const result = await startLoad(steadyPlan({ url, ratePerSecond: 400, durationMs: 3_000 })).done;
  const fleet = await davy.fleet();
  const instances = fleet.services[0]!.instances.filter((one) => one.version === 'v1');
  const served = await Promise.all(instances.map((one) => handled(`http://127.0.0.1:${one.port}/q/metrics`)));
  const attempts = served.reduce((sum, count) => sum + count, 0);
  expect(result.counts.ok).toBe(0);
  expect(result.counts.requests).toBeGreaterThan(1_000);
  // The budget: a fifth of what is active, and never fewer than three at once. Requests of some ms at 400/s keep about
  // three retries of up to 75 ms back-off going: 3 / 0.04 s = 75/s at the very most beside the fifth.
  expect(attempts / result.counts.requests).toBeLessThan(1.45);
});

async function handled(url: string): Promise<number> {
  const samples = parseExposition(await (await fetch(url)).text());
  return samples.filter((one) => one.name === 'http_requests_total').reduce((sum, one) => sum + one.value, 0);
}

test('L02: at twice the rate the bucket admits its rate and its burst, and nothing more', async () => {
  const { davy, url } = await start('', 'rateLimit: { rate: 200/s, burst: 50 }');
  expect((await davy.fleet()).services).toHaveLength(1);
  const plan = steadyPlan({ url, ratePerSecond: 400, durationMs: 5_000, arrivals: 'uniform' });
  const startedMs = systemClock.monoMs();
  const { counts } = await startLoad(plan).done;
  const limited = counts.statuses['429'] ?? 0;
  expect(counts.statuses['200']! + limited).toBe(counts.requests);
  // A busy machine stretches the five seconds: the bound is on what the bucket may admit in the time that passed.
  // That it admits exactly its rate is tested on a simulated clock (src/gateway/route/semantics.test.ts).
  const passedMs = systemClock.monoMs() - startedMs;
  expect(counts.statuses['200']).toBeLessThanOrEqual((200 * passedMs) / 1000 + 50 + 1);
  expect(counts.statuses['200']).toBeGreaterThan(200 * 5 * 0.8);
});

test('E02: an evidence writer and three actions at once give one order without a gap', async () => {
  const { davy, url } = await start();
  const load = startLoad(steadyPlan({ url, ratePerSecond: 100 }));
  writeFileSync(join(davy.folder, 'note.txt'), 'seen');
  const file = join(davy.folder, 'note.txt');
  const outcomes = await Promise.all([
    davy.davy('release', 'shop', 'v2', '--reason', 'x'),
    davy.davy('release', 'shop', 'v2', '--reason', 'y'),
    davy.davy('chaos', 'run', 'slow', '--reason', 'x', '--detach'),
    davy.davy('evidence', 'add', file, '-d', 'a note', '--data', davy.dataDir),
    davy.davy('evidence', 'add', file, '-d', 'the note again', '--data', davy.dataDir),
  ]);
  await load.stop();
  expect(outcomes.slice(3).map((outcome) => outcome.code)).toEqual([0, 0]);
  // A baseline is evidence as well; one short run proves no promise, which is said by the exit code and not by its absence.
  const baseline = [
    'load',
    'baseline',
    '--url',
    url,
    '--rps',
    '50',
    '--for',
    '1s',
    '--runs',
    '1',
    '--data',
    davy.dataDir,
  ];
  const taken = await davy.davy(...baseline, '-o', 'json');
  expect(taken.code).toBe(3);
  // A generator that a busy machine spoils twice keeps nothing.
  const isKept = (JSON.parse(taken.stdout) as { stored: object | null }).stored !== null;
  const seqs: number[] = [];
  const files: string[] = [];
  for await (const { record } of readFolder(join(davy.dataDir, 'ledger'))) {
    seqs.push(record.seq);
    // Others are collected by themselves at every decision, and when a rehearsal ends; here those that somebody added count.
    if (record.type === 'evidence.added') for (const { name } of record.att ?? []) files.push(name);
  }
  expect(files).toEqual(['note.txt', 'note.txt', ...(isKept ? ['load-baseline.json'] : [])]);
  expect(seqs).toEqual(seqs.map((_, i) => i));
  expect((await davy.davy('evidence', 'verify', '--data', davy.dataDir)).code).toBe(0);
});
