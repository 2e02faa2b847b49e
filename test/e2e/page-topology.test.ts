import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testPorts } from '../../src/lib/test-port.fixture.ts';
import { type Load, startLoad, steadyPlan } from '../../src/load/start-load.ts';
import { findChromium, mustHave, openBrowser } from '../engines.ts';
import { keepPictures, linkOf } from './browser.ts';
import { QUICK_POLICY, type Running, specOf, up } from './harness.ts';

const engine = findChromium();

describe.skipIf(!mustHave(engine, 'Chromium'))('the topology on the page', () => {
  let davy: Running;
  let load: Load;
  let browser: Browser;
  let page: Page;
  let backUrl = '';

  beforeAll(async () => {
    const [front = 0, back = 0, idle = 0] = await testPorts(3);
    backUrl = `http://127.0.0.1:${back}/`;
    const services = {
      front: { port: front, versions: {} },
      back: { port: back, versions: {} },
      idle: { port: idle, versions: {} },
    };
    // Both name the port of `back`; only `front` is asked for anything.
    const spec = specOf(services, QUICK_POLICY)
      .replace('SERVICE: "front"', `SERVICE: "front", NEXT: "${backUrl}"`)
      .replace('SERVICE: "idle"', `SERVICE: "idle", NEXT: "${backUrl}"`);
    davy = await up(spec);
    load = startLoad(steadyPlan({ url: `http://127.0.0.1:${front}/`, ratePerSecond: 60 }));
    browser = await openBrowser(engine as string);
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    await page.goto(linkOf(davy));
    await page.click('nav a[href="/topology"]');
  });
  afterAll(async () => {
    await browser?.close();
    await load?.stop().catch(() => {});
    await davy?.end();
  });

  const caller = (from: string, to: string) =>
    page.locator('table', { hasText: 'Callers' }).locator('tbody tr', { hasText: from }).filter({ hasText: to });

  it('draws who calls whom as measured, with rate, errors and p95, and dots that move', async () => {
    await caller('front', 'back').getByText(/\d\/s/).waitFor({ timeout: 20_000 });
    expect(await caller('outside', 'front').textContent()).toMatch(/\d+(\.\d)?\/s0 %\d+.*ms.*now/);
    expect(await caller('front', 'back').textContent()).toMatch(/\d+(\.\d)?\/s0 %\d+.*ms.*now/);
    // outside → front → back, and each to its version.
    await page.locator('.edge.good path').nth(3).waitFor({ state: 'attached' });
    expect(await page.locator('.edge.good text').first().textContent()).toMatch(/✓ [\d.]+\/s · p95 [\d.]+ ms/);
    expect(await page.locator('.edge.good circle animateMotion').count()).toBeGreaterThan(3);
  });

  it('draws dashed, and says, what is declared and was not seen', async () => {
    expect(await page.locator('.edge.declared').first().locator('path').count()).toBe(1);
    expect(await page.locator('.edge.declared text').textContent()).toBe('declared, not seen');
    expect(await caller('idle', 'back').textContent()).toContain('declared in the spec, not seen');
    const dashes = 'getComputedStyle(document.querySelector(".edge.declared path")).strokeDasharray';
    expect(await page.evaluate(dashes)).not.toBe('none');
  });

  it('counts a name that no service has as unknown, whatever it says', async () => {
    for (const name of ['<img src=x onerror=alert(1)>', 'Front', 'x'.repeat(5_000)]) {
      const answer = await fetch(backUrl, { headers: { 'x-envoy-downstream-service-cluster': name } });
      expect(answer.status).toBe(200);
      await answer.arrayBuffer();
    }
    await caller('unknown names', 'back').waitFor();
    expect(await page.locator('.topology img').count()).toBe(0);
    const metrics = await (await fetch(`http://127.0.0.1:${davy.port}/metrics`)).text();
    const lines = metrics.split('\n').filter((line) => line.startsWith('davy_gateway_caller_requests_total{'));
    expect(lines.find((line) => line.includes('davy_caller="unknown"'))).toMatch(/ 3$/);
    expect(lines.some((line) => line.includes('source_workload="front"') && line.includes('"back"'))).toBe(true);
    expect(metrics).not.toContain('onerror');
    await keepPictures(page, 'topology-callers');
  });

  it('shows one service with its neighbours, from the table or the graph, and back', async () => {
    await page.locator('.node.opens', { hasText: 'front' }).click();
    await page.waitForURL('**/topology?service=front');
    await page.getByText('Only front and its neighbours.').waitFor();
    expect(await caller('idle', 'back').count()).toBe(0);
    await page.getByText('Show all').click();
    await caller('idle', 'back').waitFor();
  });
});
