import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { findChromium, openBrowser } from '../test/engines.ts';

/**
 * Photographs every view of a running Davy in both themes at three widths:
 *   node scripts/screenshots.ts http://127.0.0.1:7070 TOKEN OUT [--readme]
 * `--readme` writes the two pictures of README.md instead.
 */
const VIEWS = ['', 'timeline', 'topology', 'chaos', 'evidence', 'system'];
const WIDTHS = [360, 768, 1440];
const HEIGHT = 900;

const [url, token, out = 'coverage/screenshots', mode] = process.argv.slice(2);
if (url === undefined || token === undefined) {
  process.stderr.write('usage: screenshots.ts URL TOKEN [OUT] [--readme]\n');
  process.exit(2);
}
const engine = findChromium();
if (engine === null) throw new Error('Chromium is missing: apt-get install chromium');
const browser = await openBrowser(engine);
try {
  if (mode === '--readme') await readme(fileURLToPath(new URL('../docs/images', import.meta.url)));
  else await everything(out);
} finally {
  await browser.close();
}

async function open(colorScheme: 'light' | 'dark', width: number, height = HEIGHT): Promise<Page> {
  const page = await browser.newPage({ colorScheme, viewport: { width, height } });
  await page.goto(`${url}/#token=${token}`);
  await page.waitForSelector('.fleet');
  return page;
}

async function releaseOf(page: Page): Promise<string | null> {
  const link = page.locator('a[href^="/releases/"]').first();
  return (await link.count()) === 0 ? null : ((await link.getAttribute('href'))?.slice(1) ?? null);
}

async function settle(page: Page): Promise<void> {
  await page.waitForLoadState('load');
  await page.waitForSelector('main h1, main .scroller');
  // Two readings of the traffic, and charts that have drawn.
  await page.waitForTimeout(2_600);
}

async function everything(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const theme of ['light', 'dark'] as const) {
    for (const width of WIDTHS) {
      const page = await open(theme, width);
      const release = await releaseOf(page);
      for (const view of release === null ? VIEWS : [...VIEWS, release]) {
        await page.goto(`${url}/${view}`);
        await settle(page);
        if (view === 'evidence') {
          await page.click('[data-verb=check]');
          await page.waitForSelector('.steps li:nth-child(4)');
        }
        const name = view === '' ? 'fleet' : view.replace(/^releases\/.*/, 'release');
        await page.screenshot({ path: join(folder, `${name}-${theme}-${width}.png`), fullPage: true });
      }
      await page.close();
    }
  }
}

async function readme(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const page = await open('light', 1200, 860);
  const release = await releaseOf(page);
  for (const [name, view, height] of [
    ['release', release ?? '', 860],
    ['topology', 'topology', 600],
  ] as const) {
    await page.goto(`${url}/${view}`);
    await settle(page);
    await page.screenshot({ path: join(folder, `${name}.png`), clip: { x: 0, y: 0, width: 1200, height } });
  }
  await page.close();
}
