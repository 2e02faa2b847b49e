import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { type Load, startLoad, steadyPlan } from '../../src/load/start-load.ts';
import { findChromium, mustHave, openBrowser } from '../engines.ts';
import { keepPictures, linkOf } from './browser.ts';
import { QUICK_POLICY, type Running, readPid, SERVICE_FILE, up } from './harness.ts';

const engine = findChromium();

function spec(port: number): string {
  return `davy: 1
system: rehearsal
services:
  shop:
    listen: ${port}
    stable: v1
    health: { path: /q/health, every: 200ms, startWithin: 10s }
    traffic: { timeout: 5s, retries: { maxTries: 2, perTry: 2s, budget: 50% } }
    release: quick
    versions:
      v1: { run: "node '${SERVICE_FILE}'", replicas: 3, env: { VERSION: v1, LATENCY_MS: 2 } }
policies:
  quick:
    ${QUICK_POLICY.trim().replaceAll('\n', '\n    ')}
chaos:
  limits: { instances: 34%, requests: 50%, minHealthy: 2 }
  experiments:
    slow:
      hypothesis: nobody minds <b>a tenth of a second</b>
      probes: &all [{ name: callers, gateway: shop, errors: 5% }]
      fault: { delay: 100ms }
      scope: { service: shop, share: 40% }
      for: 60s
      steady: 1s
      schedule: "0 0 29 2 *"
    kill-one:
      hypothesis: one of three may die
      probes: *all
      fault: { kill: true }
      scope: { service: shop, instances: 1 }
      for: 4s
      steady: 1s
      detect: 2s
      recover: 20s
    too-wide:
      hypothesis: two of three may die
      probes: *all
      fault: { kill: true }
      scope: { service: shop, instances: 2 }
      for: 4s
      steady: 1s
      detect: 2s
      recover: 20s
`;
}

describe.skipIf(!mustHave(engine, 'Chromium'))('rehearsals on the page', () => {
  let davy: Running;
  let load: Load;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    const port = await testPort();
    davy = await up(spec(port));
    load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: 100 }));
    browser = await openBrowser(engine as string);
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    await page.goto(linkOf(davy));
    await page.click('nav a[href="/chaos"]');
    await card('slow').waitFor();
  });
  afterAll(async () => {
    await browser?.close();
    await load?.stop().catch(() => {});
    await davy?.end();
  });

  const card = (title: string) => page.locator(`.card[aria-label="${title}"]`);
  const submit = () => page.locator('dialog button[type=submit]');
  const lookAt = (name: string) => card(name).getByRole('button').click();

  /** Gives the reason, presses, and waits until the dialog is gone. */
  async function confirm(reason: string): Promise<void> {
    expect(await submit().isDisabled(), 'a reason is required').toBe(true);
    await page.fill('dialog textarea', reason);
    await submit().click();
    await page.locator('dialog').waitFor({ state: 'detached' });
  }

  it('shows the schedule: what comes by itself, and what only by hand', async () => {
    expect(await card('Schedule').locator('tbody tr').count()).toBe(1);
    expect(await card('Schedule').textContent()).toMatch(/in \d+ d.*slow.*not yet/);
    expect(await card('slow').locator('time').getAttribute('title')).toMatch(/UTC$/);
    expect(await card('kill-one').textContent()).toContain('only by hand');
    expect(await card('slow').textContent()).toContain('nobody minds <b>a tenth of a second</b>');
    expect(await card('Results').textContent()).toContain('Nothing was rehearsed yet');
  });

  it('shows a refused experiment with its reason, and does not start it', async () => {
    expect(await card('too-wide').locator('.refusal').textContent()).toMatch(
      /Cannot run now: .*67 % of the ready instances/,
    );
    await lookAt('too-wide');
    await page.locator('dialog .problem').getByText('67 % of the ready instances').waitFor();
    await page.fill('dialog textarea', 'I want to');
    expect(await submit().isDisabled()).toBe(true);
    await page.getByText('Leave it').click();
  });

  it('previews the targets and starts only with a reason; the run is watched, stopped with a reason, and stands in the results', async () => {
    await lookAt('slow');
    await page.locator('dialog .facts').waitFor();
    expect(await page.locator('dialog .facts').textContent()).toMatch(/shop\/v1.*40 % of the\s+requests/);
    expect(await page.locator('dialog .copy code').textContent()).toContain('davy chaos run slow');
    await confirm('a rehearsal before the sale');
    const running = card('slow runs');
    await running.getByText('▶ injected').waitFor({ timeout: 20_000 });
    expect(await running.textContent()).toContain('a rehearsal before the sale');
    await keepPictures(page, 'chaos-running');
    // Meanwhile nothing else may hit the same service.
    await lookAt('kill-one');
    await page.locator('dialog .problem').getByText('hits shop at the moment').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await running.getByRole('button').click();
    expect(await page.locator('dialog .change').textContent()).toContain('is taken back now');
    await confirm("that's enough");
    await running.waitFor({ state: 'detached', timeout: 20_000 });
    const result = card('Results').locator('tbody tr').first();
    expect(await result.textContent()).toContain("stopped by operator: that's enough");
    expect(await result.locator('.badge').textContent()).toContain('INCONCLUSIVE');
    expect((await davy.davy('chaos', 'history', '-o', 'json')).stdout).toContain("that's enough");
  });

  it('shows how long the recovery took', async () => {
    await lookAt('kill-one');
    await page.locator('dialog .facts').waitFor();
    await confirm('one may die');
    const result = card('Results').locator('tbody tr', { hasText: 'kill-one' });
    await result.getByText(/ready after [\d.]+ m?s/).waitFor({ timeout: 60_000 });
    expect(await result.textContent()).toMatch(/steady after [\d.]+ m?s/);
    expect(await result.locator('.badge').textContent()).toMatch(/PASS/);
    await keepPictures(page, 'chaos-results');
    await result.getByText('chaos-2').click();
    await page.locator('.record', { hasText: 'chaos.concluded' }).waitFor();
  });

  it('says of a fault that cannot be shown to be gone that it is DIRTY, until a person declares it clean with a reason', async () => {
    await page.click('nav a[href="/chaos"]');
    await lookAt('slow');
    await page.locator('dialog .facts').waitFor();
    await confirm('what if the gateway hangs?');
    const running = card('slow runs');
    await running.getByText('▶ injected').waitFor({ timeout: 20_000 });
    const dirty = card('slow may still be in force');
    const gateway = readPid(davy.dataDir, 'gateway-process.json');
    process.kill(gateway, 'SIGSTOP');
    try {
      await running.getByRole('button').click();
      await page.fill('dialog textarea', 'it hangs');
      await submit().click();
      // The answer comes when the revert was tried for long enough; nobody has to wait for it.
      await page.getByText('Leave it').click();
      await dirty.waitFor({ timeout: 40_000 });
    } finally {
      process.kill(gateway, 'SIGCONT');
    }
    expect(await dirty.textContent()).toMatch(/DIRTY.*could not be shown to be gone/);
    await keepPictures(page, 'chaos-dirty');
    await lookAt('kill-one');
    await page.locator('dialog .problem').getByText('chaos-3 is DIRTY').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await dirty.getByRole('button').click();
    expect(await page.locator('dialog .change').textContent()).toContain('Promotions go on');
    await page.fill('dialog input[name=confirm]', 'chaos-3');
    await confirm('the gateway answers again, and counts no fault');
    await dirty.waitFor({ state: 'detached', timeout: 20_000 });
    expect((await davy.davy('chaos', 'history', '-o', 'json')).stdout).toContain('"phase": "cleared"');
    await lookAt('kill-one');
    await page.locator('dialog .facts').waitFor();
    await page.getByText('Leave it').click();
  });

  it('hides everything, with the reason, where there is no experiment engine', async () => {
    const missing = { error: { code: 'api/not-found', sentence: 'There is no GET /api/v1/chaos.', next: '' } };
    await page.route(/\/api\/v1\/chaos/, (route) => route.fulfill({ status: 404, json: missing }));
    await page.goto(`http://127.0.0.1:${davy.port}/chaos`);
    await page.getByText('This Davy has no experiment engine.').waitFor();
    expect(await page.locator('.chaos .card').count()).toBe(0);
    await page.unroute(/\/api\/v1\/chaos/);
  });
});
