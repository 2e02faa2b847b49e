import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import type { Running } from './harness.ts';

/** What the tests of the page share. */

const SHOTS = fileURLToPath(new URL('../../coverage/screenshots', import.meta.url));
const WIDTHS = [360, 768, 1440];

/** The link that `davy up` printed: it logs in. */
export function linkOf(davy: Running): string {
  return /http:\S+#token=\S+/.exec(davy.said())?.[0] ?? '';
}

/** What axe calls serious or critical in the page as it stands. */
async function seriousFindings(page: Page): Promise<string[]> {
  // Through the debugger: the page's own policy lets no script in.
  await page.evaluate(axe.source);
  const { violations, passes } = (await page.evaluate('axe.run()')) as {
    passes: unknown[];
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  // A page that offers nothing to check passes everything.
  expect(passes.length).toBeGreaterThan(15);
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 150)} ${nodes[0]?.failureSummary.slice(0, 200)}`);
}

/** Photographs the page as it stands in both themes at three widths; axe must find nothing serious, and nothing may scroll sideways. */
export async function keepPictures(page: Page, name: string): Promise<void> {
  mkdirSync(SHOTS, { recursive: true });
  for (const theme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: theme });
    expect(await seriousFindings(page), `${name} ${theme}`).toEqual([]);
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      await page.screenshot({ path: join(SHOTS, `${name}-${theme}-${width}.png`) });
      const over = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      expect(over, `${name} at ${width} px scrolls sideways`).toBeLessThanOrEqual(0);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1280, height: 900 });
}
