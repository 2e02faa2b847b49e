import { once } from 'node:events';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sleep, systemClock } from '../../src/lib/clock.ts';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { until } from '../../src/lib/until.fixture.ts';
import { writeFileAtomic } from '../../src/lib/write-file.ts';
import { type Load, startLoad, steadyPlan } from '../../src/load/start-load.ts';
import { connectGateway } from '../../src/traffic/gateway-driver.ts';
import type { RoutingTable } from '../../src/traffic/model.ts';
import { findChromium, mustHave, openBrowser } from '../engines.ts';
import { keepPictures, linkOf } from './browser.ts';
import { controllerPid } from './controller-pid.ts';
import { QUICK_POLICY, type Running, readPid, SERVICE_FILE, up } from './harness.ts';
import { recordsIn } from './records.ts';

const engine = findChromium();

const spec = (port: number): string => `davy: 1
system: alarms
services:
  shop:
    listen: ${port}
    stable: v1
    health: { path: /q/health, every: 200ms, startWithin: 10s }
    release: quick
    versions:
      v1: { run: "node '${SERVICE_FILE}'", replicas: 2, env: { VERSION: v1, LATENCY_MS: 2 } }
      v2: { run: "node '${SERVICE_FILE}'", replicas: 1, env: { VERSION: v2, LATENCY_MS: 2 } }
policies:
  quick:
    ${QUICK_POLICY.trim().replaceAll('\n', '\n    ')}
chaos:
  limits: { instances: 50%, requests: 50%, minHealthy: 1 }
  experiments:
    slow:
      hypothesis: nobody minds a twentieth of a second
      probes: [{ name: callers, gateway: shop, errors: 5% }]
      fault: { delay: 50ms }
      scope: { service: shop, share: 40% }
      for: 60s
      steady: 1s
`;

describe.skipIf(!mustHave(engine, 'Chromium'))('what a person must know stands on the page and everywhere else', () => {
  let davy: Running;
  let load: Load;
  let port: number;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    port = await testPort();
    davy = await up(spec(port));
    load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: 50 }));
    browser = await openBrowser(engine as string);
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    await page.goto(linkOf(davy));
  });
  afterAll(async () => {
    await browser?.close();
    await load?.stop().catch(() => {});
    await davy?.end();
  });

  const metrics = async (): Promise<string> => (await davy.api('/metrics')).text();
  const status = async (): Promise<string> => (await davy.davy('status')).stdout;

  /** Puts a table of its own in force whenever Davy's is, as another controller would. */
  async function rewriteWhile(work: () => Promise<void>): Promise<void> {
    const { dataPlane, close } = connectGateway({ runDir: join(davy.dataDir, 'run') });
    const { services } = await davy.fleet();
    const instances = services[0]!.instances.filter(({ version }) => version === 'v1');
    const over = new AbortController();
    const rewriting = (async () => {
      while (!over.signal.aborted) {
        const { term, generation } = await dataPlane.observe();
        const table: RoutingTable = {
          ...{ term, generation: generation + 1 },
          services: [
            {
              ...{ service: 'shop', listenHost: '127.0.0.1', listenPort: port, stable: 'v1', canary: null },
              versions: [
                { version: 'v1', instances: instances.map(({ id, host, port, zone }) => ({ id, host, port, zone })) },
              ],
              ...{ timeoutMs: 7000, retries: null, ejection: null, rateLimit: null, edgesMs: [100, 500] },
            },
          ],
        };
        await dataPlane.apply(table).catch(() => {});
        await sleep(systemClock, 250, over.signal).catch(() => {});
      }
    })();
    try {
      await work();
    } finally {
      over.abort();
      await rewriting.finally(close);
    }
  }

  it('a data plane that does not keep the table: status, metrics, page and standard error say it, the ledger once', async () => {
    const before = recordsIn(davy.dataDir).length;
    await rewriteWhile(async () => {
      await until(() => davy.said().includes('traffic is not in step'));
      expect(await status()).toContain('traffic is not in step: a routing table that somebody else wrote');
      expect(await metrics()).toContain('davy_traffic_in_step 0');
      await page.locator('.band.warn', { hasText: 'Traffic is not in step' }).waitFor();
      await sleep(systemClock, 10_000);
    });
    const types = recordsIn(davy.dataDir)
      .slice(before)
      .map(({ type }) => type);
    expect(types.filter((type) => type === 'traffic.drift.detected')).toHaveLength(1);
    // It was 3.5 records a second for ever.
    expect(types.filter((type) => type.startsWith('traffic.')).length).toBeLessThan(20);
    expect(davy.said().split('traffic is not in step').length - 1).toBe(1);
    await davy.until('traffic is in step', ({ traffic }) => traffic.problem === null, 30_000);
    await page.locator('.band.warn').waitFor({ state: 'detached' });
  });

  it('the size of the ledger and its growth stand in status, in the metrics and on the page', async () => {
    expect(await status()).toMatch(/ledger \d+ records, [\d.]+ kB/);
    expect(await metrics()).toMatch(/davy_ledger_log_bytes \d{4,}\n/);
    expect(await metrics()).toContain('# TYPE davy_ledger_growth_bytes_per_day gauge');
    await page.click('nav a[href="/system"]');
    expect(await page.locator('.card', { hasText: 'size of the log' }).textContent()).toMatch(
      /size of the log[\d.]+ kB/,
    );
  });

  it('a rehearsal whose fault was not shown to be gone is DIRTY everywhere, until a person declares it clean on the page', async () => {
    const body = JSON.stringify({ experiment: 'slow', reason: 'x' });
    const headers = { 'content-type': 'application/json' };
    expect((await davy.api('/api/v1/chaos/runs', { method: 'POST', headers, body })).status).toBe(201);
    await until(() => recordsIn(davy.dataDir).some(({ type }) => type === 'chaos.injected'));
    const gateway = readPid(davy.dataDir, 'gateway-process.json');
    process.kill(gateway, 'SIGSTOP');
    try {
      await davy.davy('chaos', 'stop', 'chaos-1', '--reason', 'enough');
      await until(() => recordsIn(davy.dataDir).some(({ type }) => type === 'chaos.dirty'));
    } finally {
      process.kill(gateway, 'SIGCONT');
    }
    await davy.until('traffic is in step', ({ traffic }) => traffic.problem === null, 30_000);
    const says = /DIRTY chaos-1: delay 50ms, 40% of the requests to shop/;
    await until(() => says.test(davy.said()));
    expect(await status()).toMatch(says);
    expect(await metrics()).toContain('davy_chaos_dirty_runs 1');
    await page.locator('[data-band="dirty"]', { hasText: 'chaos-1 is DIRTY' }).waitFor();
    const held = await davy.davy('promote', 'shop-1', '--reason', 'x');
    expect(held.stderr).toContain('chaos-1 is DIRTY');

    await page.click('[data-band="dirty"] a');
    const card = page.locator('.card', { hasText: 'slow may still be in force' });
    await keepPictures(page, 'dirty');
    await card.locator('button.danger').click();
    const dialog = page.locator('[role="dialog"], dialog');
    const send = dialog.locator('button[type="submit"]');
    expect(await send.isDisabled()).toBe(true);
    await dialog.locator('textarea').fill('no fault in the gateway, I looked');
    expect(await send.isDisabled()).toBe(true);
    await dialog.locator('input[name="confirm"]').fill('chaos-1');
    await send.click();
    await page.locator('[data-band="dirty"]').waitFor({ state: 'detached' });
    await card.waitFor({ state: 'detached' });
    expect(recordsIn(davy.dataDir).find(({ type }) => type === 'chaos.cleared')).toMatchObject({
      actor: { kind: 'person' },
      data: { run: 'chaos-1', reason: 'no fault in the gateway, I looked' },
    });
    expect(await metrics()).toContain('davy_chaos_dirty_runs 0');
    expect(await status()).not.toContain('DIRTY');
    await until(() => davy.said().includes('DIRTY chaos-1: settled'));
  });

  it('a ledger that has lost records holds everything, until a person goes on from what is in force on the page', async () => {
    const controller = controllerPid(davy.dataDir);
    // What the run folder would hold had the ledger been put back from an older copy; noted anew with every table, so after the death.
    process.kill(controller, 'SIGKILL');
    writeFileAtomic(join(davy.dataDir, 'run', 'ledger-watermark.json'), '{"size":1000000}');
    const fleet = await davy.until('held', ({ traffic }) => traffic.hold !== null, 30_000);
    expect(fleet.traffic.hold?.signs).toMatchObject([{ by: 'run folder', at: 1_000_000 }]);
    const band = page.locator('[data-band="hold"]');
    await band.waitFor();
    expect(await band.textContent()).toContain('run folder: the ledger had 1000000 records on this machine');
    await keepPictures(page, 'hold');
    await band.locator('[data-verb="continue"]').click();
    const dialog = page.locator('[role="dialog"], dialog');
    expect(await dialog.textContent()).toContain('davy continue --accept-loss --reason');
    await dialog.locator('textarea').fill('the copy was older');
    await dialog.locator('button[type="submit"]').click();
    await band.waitFor({ state: 'detached' });
    expect(recordsIn(davy.dataDir).find(({ type }) => type === 'traffic.continued')).toMatchObject({
      actor: { kind: 'person' },
      data: { reason: 'the copy was older' },
    });
    // The same loss is not asked about again.
    process.kill(controllerPid(davy.dataDir), 'SIGKILL');
    const held = recordsIn(davy.dataDir).filter(({ type }) => type === 'traffic.held').length;
    const size = recordsIn(davy.dataDir).length;
    await davy.until('another controller', ({ ledger }) => ledger.size > size, 30_000);
    await davy.until('traffic is in step', ({ traffic }) => traffic.problem === null, 30_000);
    expect(recordsIn(davy.dataDir).filter(({ type }) => type === 'traffic.held')).toHaveLength(held);
    expect((await davy.fleet()).traffic.hold).toBeNull();
    expect(davy.process.exitCode).toBeNull();
    davy.process.kill('SIGTERM');
    await once(davy.process, 'exit');
  });
});
