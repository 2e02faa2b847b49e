import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findEndpoint } from '../../src/lib/endpoint.ts';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { type Load, startLoad, steadyPlan } from '../../src/load/start-load.ts';
import { findChromium, mustHave, openBrowser } from '../engines.ts';
import { keepPictures, linkOf } from './browser.ts';
import { QUICK_POLICY, type Running, specOf, up } from './harness.ts';

const engine = findChromium();
const HOSTILE = '<img src=x onerror="document.title=1">{{7*7}}"\'';
/** From 10 %: at the first step the test's person acts before the evidence can. */
const POLICY = QUICK_POLICY.replace('weight: 20%, hold: 3s', 'weight: 10%, hold: 5s');
const VIEWS = ['', 'releases/shop-1', 'timeline', 'topology', 'chaos', 'evidence', 'system'];

describe.skipIf(!mustHave(engine, 'Chromium'))('the page, in a real browser', () => {
  let davy: Running;
  let load: Load;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let url = '';
  const foreign: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    const port = await testPort();
    const versions = { v2: {}, v3: { FAULT_RATE: 0.3 } };
    davy = await up(specOf({ shop: { port, versions } }, POLICY));
    load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: 150 }));
    browser = await openBrowser(engine as string);
    context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    page = await context.newPage();
    url = `http://127.0.0.1:${davy.port}`;
    page.on('request', (request) => {
      if (!request.url().startsWith(url)) foreign.push(request.url());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy|TrustedHTML/i.test(message.text())) complaints.push(message.text());
    });
  });
  afterAll(async () => {
    await browser?.close();
    await load?.stop().catch(() => {});
    await davy?.end();
  });

  const see = (text: string | RegExp, timeout = 15_000) => page.getByText(text).first().waitFor({ timeout });
  async function act(verb: string, reason: string): Promise<string> {
    await page.click(`[data-verb=${verb}]`);
    const change = (await page.locator('dialog .change').textContent()) ?? '';
    const confirm = page.locator('dialog button[type=submit]');
    expect(await confirm.isDisabled(), 'a reason is required').toBe(true);
    await page.fill('dialog textarea', reason);
    await confirm.click();
    await page.locator('dialog').waitFor({ state: 'detached' });
    return change;
  }

  it('asks for the token, refuses a wrong one, and takes the link that was printed', async () => {
    await page.goto(url);
    await page.fill('input[name=token]', 'wrong');
    await page.click('button[type=submit]');
    await see(/not the token/);
    const link = linkOf(davy);
    // Only the fragment differs from where the page is: the browser would not load it anew.
    await page.goto('about:blank');
    await page.goto(link);
    await page.waitForSelector('.fleet');
    expect(page.url()).toBe(`${url}/`);
    expect(await page.evaluate('document.cookie')).toBe('');
  });

  it('shows a release from 10 % to its completion, every change confirmed by a person', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', HOSTILE);
    await page.click('a[href="/releases/shop-1"]');
    await see('10 %');
    expect(await page.locator('h1').textContent()).toContain('v2');
    await page.locator('.rail [aria-current=step]').waitFor();
    expect(await act('pause', 'lunch')).toContain('stays at 10 %');
    await see(/is paused by/);
    await act('resume', 'back');
    expect(await act('promote', 'trust me')).toContain('gets 50 %');
    await page.locator('.rail .done').first().waitFor();
    await see('completed', 40_000);
    // One split in twenty lies outside its 95 % interval by chance alone.
    await see(/as decided|outside the 95 % range/);
    expect(await page.locator('.chart canvas').count()).toBe(3);
    expect(await page.locator('.rail .done').count()).toBe(3);
  });

  it('shows text that came from outside as text', async () => {
    expect(await page.locator('.head').textContent()).toContain(HOSTILE);
    expect(await page.locator('.head img').count()).toBe(0);
    expect(await page.title()).toBe('Davy');
  });

  it('keeps a screenshot of every view in both themes at three widths, and axe finds nothing serious', async () => {
    for (const view of VIEWS) {
      await page.goto(`${url}/${view}`);
      await page.waitForSelector('main h1');
      await keepPictures(page, view.split('/')[0] || 'fleet');
    }
  });

  it('shows a rollback with its why, and takes a finished release back on demand', async () => {
    await davy.davy('release', 'shop', 'v3', '--reason', 'a bad one');
    await page.goto(`${url}/releases/shop-2`);
    await page.locator('.rail .failed').waitFor({ timeout: 40_000 });
    expect(await page.locator('.sentence').textContent()).toMatch(
      /was rolled back \((instant|statistical|sustained)\)/,
    );
    await page.goto(`${url}/releases/shop-1`);
    expect(await act('rollback', 'partners complain')).toContain('goes to v1');
    await see(/partners complain/);
  });

  it('goes to the last step at once only to who types the name of the release', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'mended');
    await page.goto(`${url}/releases/shop-3`);
    await page.locator('[data-verb=promote-full]:not([disabled])').click();
    expect(await page.locator('dialog .change').textContent()).toContain("gets 98 % of shop's traffic");
    await page.fill('dialog textarea', 'a hot fix');
    const confirm = page.locator('dialog button[type=submit]');
    expect(await confirm.isDisabled(), 'the name is asked for').toBe(true);
    await page.fill('dialog input', 'shop-3');
    await confirm.click();
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.locator('.rail [aria-current=step]').filter({ hasText: '98 %' }).waitFor();
    expect(await act('rollback', 'the fix was none')).toContain('goes to v1');
    await see(/the fix was none/);
  });

  it('looks back: the page as it was before a record', async () => {
    await page.goto(`${url}/timeline?text=shop-1&type=release.step`);
    await page.locator('.record').last().click();
    await page.getByText('See the page as it was then').click();
    await see('You are looking back:');
    await page.click('nav a[href="/"]');
    await page.locator('.line.in-flight').waitFor();
    expect(await page.locator('.fleet').textContent()).not.toContain('shop-2');
    await page.getByText('Return to now').click();
    await see('rolled back');
  });

  it('works from the keyboard', async () => {
    await page.keyboard.press('g');
    await page.keyboard.press('e');
    await page.waitForURL('**/evidence');
    await page.keyboard.press('?');
    await page.locator('dialog kbd').first().waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('g');
    await page.keyboard.press('f');
    await page.waitForSelector('.fleet');
    await page.locator('.line').first().focus();
    await page.keyboard.press('ArrowDown');
    await page.locator('li.row:nth-child(2) .line:focus').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('v3');
    await page.waitForURL('**/?q=v3');
    await page.locator('.line').nth(1).waitFor({ state: 'detached' });
    expect(await page.locator('.line').count()).toBe(1);
  });

  it('checks the ledger itself, and shows an altered record in red', async () => {
    await page.goto(`${url}/evidence?from=0`);
    const check = async (): Promise<string> => {
      await page.click('[data-verb=check]');
      await page.locator('.steps li:nth-child(4)').waitFor();
      return (await page.locator('.steps').textContent()) ?? '';
    };
    const first = await check();
    for (const found of ['Signature is valid', 'Chain holds', 'is included', 'Remembered'])
      expect(first).toContain(found);
    expect(await check()).toContain('It only grew');
    const file = join(davy.dataDir, 'ledger', 'log', '0000000000000000.jsonl');
    const bytes = readFileSync(file);
    const at = bytes.indexOf('"id":"davy"', bytes.indexOf('"seq":2,')) + 6;
    overwrite(file, at, 'D');
    try {
      expect(await check()).toContain('Chain is broken');
      expect(await page.locator('.tampered').textContent()).toContain('Record 2');
      expect(await page.evaluate('getComputedStyle(document.querySelector(".tampered")).borderTopColor')).toBe(
        'rgb(179, 38, 30)',
      );
    } finally {
      overwrite(file, at, 'd');
    }
    expect(await check()).toContain('Chain holds');
  });

  it('says that it is disconnected, and comes back by itself when the controller restarts', async () => {
    await page.goto(url);
    await page.waitForSelector('.fleet');
    process.kill(davy.process.pid as number, 'SIGSTOP');
    process.kill(findEndpoint(davy.port, process.env)?.pid as number, 'SIGKILL');
    await see(/Disconnected for/, 20_000);
    process.kill(davy.process.pid as number, 'SIGCONT');
    await page.getByText(/Disconnected for/).waitFor({ state: 'detached', timeout: 30_000 });
    await see('live');
  });

  it('asked no other host for anything, and broke no rule of its policy', () => {
    expect(foreign).toEqual([]);
    expect(complaints).toEqual([]);
  });
});

/** Changes one byte of a file in its place, under the feet of who has it open. */
function overwrite(file: string, at: number, text: string): void {
  const handle = openSync(file, 'r+');
  writeSync(handle, text, at);
  closeSync(handle);
}
