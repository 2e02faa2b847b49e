import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { sleep, systemClock } from '../../src/lib/clock.ts';
import { testPorts } from '../../src/lib/test-port.fixture.ts';
import { type Load, startLoad, steadyPlan } from '../../src/load/start-load.ts';
import type { BiDailyReport } from '../../src/reports/bi-daily.ts';
import type { ChaosRunDoc } from '../../src/server/routes/chaos.ts';
import { type Running, SERVICE_FILE, up } from './harness.ts';

let running: Running | undefined;
let load: Load | undefined;

afterEach(async () => {
  await load?.stop().catch(() => {});
  await running?.end();
  running = load = undefined;
});

/** The example as it stands, on ports of its own. */
async function example(
  name: string,
  change: (text: string) => string = (text) => text,
): Promise<{ spec: string; ports: number[] }> {
  const file = fileURLToPath(new URL(`../../examples/${name}/davy.yaml`, import.meta.url));
  const text = readFileSync(file, 'utf8').replaceAll('../shop/service.mjs', SERVICE_FILE);
  const declared = [...new Set([...text.matchAll(/listen: (\d+)/g)].map((match) => match[1]!))];
  const ports = await testPorts(declared.length);
  const spec = declared.reduce((result, port, i) => result.replaceAll(port, String(ports[i])), change(text));
  return { spec, ports };
}

function loadOn(port: number, ratePerSecond: number): void {
  load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond }));
}

async function report(): Promise<BiDailyReport> {
  const outcome = await running!.davy('report', 'bi-daily', `${running!.folder}/davy.yaml`, '-o', 'json');
  expect(outcome.stderr).toContain('kept: bi-daily-report.md');
  return (JSON.parse(outcome.stdout) as { report: BiDailyReport }).report;
}

test('service-b-canary: 90/10, a sample of 200 with its interval, and the evidence files by name', async () => {
  const { spec, ports } = await example('service-b-canary');
  running = await up(spec);
  expect((await running.davy('release', 'service-b', 'v2', '--reason', '90/10 watch')).code).toBe(0);
  await running.until('the canary gets its share', (fleet) => fleet.services[0]?.effectiveWeightBp === 1_000, 20_000);
  loadOn(ports[0]!, 50);
  const found = await report();
  expect(found.distribution).toMatchObject({ requests: 200, weight: 0.1, expectedLow: 12, expectedHigh: 28 });
  expect(found.distribution.low).toBeLessThanOrEqual(found.distribution.observed);
  expect(found.evidence.map((one) => one.name)).toEqual([
    'prometheus-targets.log',
    'prometheus-canary-v2.log',
    'canary-distribution.log',
  ]);
  expect(found.resources.replicas.map((one) => [one.version, one.declared, one.running])).toEqual([
    ['v1', 3, 3],
    ['v2', 1, 1],
  ]);
  const [controller, gateway] = found.resources.processes;
  expect(controller!.memoryBytes).toBeGreaterThan(10 ** 7);
  expect(gateway!.memoryBytes).toBeGreaterThan(10 ** 7);
  expect(found.ledger.ok).toBe(true);
  const verified = await running.davy('evidence', 'verify', '--data', running.dataDir);
  expect(verified.code).toBe(0);
});

test('resilience: scheduled latency on a, b and c, a kill with its recovery, and the report on both', async () => {
  // Four hours become fifteen seconds; everything else of the schedule is as it stands.
  const { spec, ports } = await example('resilience', (text) =>
    text.replaceAll('every: 4h', 'every: 15s').replaceAll(/for: (30|20)s$/gm, 'for: 3s\n      steady: 1s'),
  );
  running = await up(spec);
  loadOn(ports[0]!, 100);
  const runs = async (): Promise<ChaosRunDoc[]> => {
    const outcome = await running!.davy('chaos', 'history', '-o', 'json');
    return (JSON.parse(outcome.stdout) as { runs: ChaosRunDoc[] }).runs.filter((run) => run.conclusion !== null);
  };
  const scheduled = ['slow-a', 'slow-b', 'slow-c'];
  const deadlineMs = systemClock.monoMs() + 45_000;
  let done: ChaosRunDoc[] = [];
  while (!scheduled.every((name) => done.some((run) => run.experiment === name))) {
    expect(systemClock.monoMs()).toBeLessThan(deadlineMs);
    await sleep(systemClock, 500);
    done = await runs();
  }
  for (const name of scheduled) {
    const run = done.find((one) => one.experiment === name)!;
    expect(run.by).toBe('chaos');
    expect(run.conclusion!.injection!.injected).toBeGreaterThan(0);
    expect(Math.abs(run.conclusion!.injection!.meanAddedMs! - 200)).toBeLessThanOrEqual(40);
  }
  const killed = await killWhenFree();
  const [recovery] = killed.conclusion!.recovery;
  expect(recovery!.readyAtMs).toBeGreaterThanOrEqual(recovery!.killedAtMs);
  expect(killed.conclusion!.steadyAfterMs).not.toBeNull();
  const found = await report();
  expect(found.chaos.map((run) => run.experiment)).toEqual(expect.arrayContaining([...scheduled, 'kill-b']));
  expect(found.ledger.ok).toBe(true);
});

/** A run of the schedule may have service-b at the moment; two runs on one service are refused. */
async function killWhenFree(): Promise<ChaosRunDoc> {
  for (;;) {
    const outcome = await running!.davy('chaos', 'run', 'kill-b', '--reason', 'example', '-o', 'json');
    if (outcome.code !== 5) return (JSON.parse(outcome.stdout) as { run: ChaosRunDoc }).run;
    await sleep(systemClock, 500);
  }
}
