import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { openFileLedger } from '../src/ledger/file-ledger.ts';
import { openStoredProofs } from '../src/ledger/stored-proof.ts';
import { systemClock } from '../src/lib/clock.ts';
import { searchBackwards, searchForwards } from '../src/server/record-search.ts';
import type { FleetDoc } from '../src/server/schemas.ts';
import { findChromium, openBrowser } from '../test/engines.ts';
import { measureLookBack } from './page/look-back.ts';
import { emptyList, measureScroll } from './page/scroll.ts';
import { writeStory } from './page/story.ts';

/**
 * The page's promises, measured in the browser: script on first load, time until the fleet is shown, the frames of a scroll over
 * 1,000 services and over 100,000 records next to a list that says nothing, a filter over all records, and their check by the
 * browser; and on the server how long looking back takes.
 * The page is the built one; behind it stands a server with a generated fleet and a real ledger of generated records.
 *   node bench/page.ts [services] [records]
 */
const DIST = fileURLToPath(new URL('../web/dist', import.meta.url));
const [services = 1_000, records = 100_000] = process.argv.slice(2).map(Number);
const LIMIT_SCRIPT_KB = 100;
const LIMIT_FIRST_LOAD_MS = 1_000;
const TYPES: Record<string, string> = {
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.html': 'text/html',
};

const engine = findChromium();
if (engine === null) throw new Error('Chromium is missing: apt-get install chromium');
const folder = mkdtempSync(join(tmpdir(), 'davy-bench-page-'));
const ledger = await openFileLedger({
  dir: join(folder, 'ledger'),
  system: 'bench',
  writerId: 'bench',
  clock: systemClock,
});
await writeStory(ledger, records);
const proofs = openStoredProofs(ledger);

const server = createServer((request, response) => {
  answer(request, response).catch((error) => response.writeHead(500).end(String(error)));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const browser = await openBrowser(engine);
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await firstLoad(page);
  await scroll(page, `${url}/`, `${services} services`, { count: services, rowPx: 68 });
  await scroll(page, `${url}/timeline`, `${records} records`, { count: records, rowPx: 44 });
  await filter(page);
  await check(page);
  await lookBack();
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
  await ledger.close();
  rmSync(folder, { recursive: true, force: true });
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', url);
  const number = (name: string): number => Number(searchParams.get(name) ?? 0);
  const json = (body: unknown): void => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  if (pathname === '/api/v1/fleet') return json(fleetDoc());
  if (pathname === '/api/v1/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 1000\n\n');
    return;
  }
  if (pathname === '/empty') {
    response.writeHead(200, { 'content-type': 'text/html' }).end(emptyList(number('count'), number('rowPx')));
    return;
  }
  if (pathname === '/api/v1/records') {
    const types = (searchParams.get('type') ?? '').split(',').filter((type) => type !== '');
    const wanted = { types, text: searchParams.get('text') ?? '' };
    const page = searchParams.has('before')
      ? await searchBackwards(ledger, number('before'), number('limit'), wanted)
      : await searchForwards(ledger, number('from'), number('limit'), wanted);
    return json({ size: ledger.head().size, ...page });
  }
  if (pathname === '/api/v1/evidence/lines') {
    const lines = await proofs.lines(number('from'), number('limit'));
    response.writeHead(200).end(lines.map((line) => `${line}\n`).join(''));
    return;
  }
  if (pathname === '/api/v1/evidence/proof') {
    return json({ vkey: ledger.vkey, ...(await proofs.prove({ seq: number('seq'), fromSize: number('fromSize') })) });
  }
  const file = extname(pathname) === '' ? 'index.html' : pathname.slice(1);
  const bytes = readFileSync(join(DIST, file));
  response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'text/plain' }).end(bytes);
}

function fleetDoc(): FleetDoc {
  const head = ledger.head();
  const names = Array.from({ length: services }, (_, i) => `service-${i}`);
  return {
    schemaVersion: 1,
    system: 'bench',
    nowMs: Date.now(),
    services: names.map((name, i) => ({
      name,
      listenPort: 10_000 + i,
      stable: 'v1',
      active: null,
      canary: null,
      weightBp: 0,
      effectiveWeightBp: null,
      instances: [],
    })),
    releases: [],
    traffic: { generation: 1, problem: null, warnings: [], hold: null },
    ledger: { size: head.size, tip: head.tip, late: 0, anchors: [], bytes: 0, growth: null },
    dirty: [],
  };
}

async function firstLoad(page: Page): Promise<void> {
  const scripts: string[] = [];
  page.on('response', (response) => {
    if (response.url().endsWith('.js')) scripts.push(response.url());
  });
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    scripts.length = 0;
    const start = performance.now();
    await page.goto(url);
    await page.waitForSelector('.line');
    times.push(performance.now() - start);
  }
  const kb = (names: string[]): number =>
    names.reduce((sum, name) => sum + gzipSync(readFileSync(join(DIST, 'assets', name))).length, 0) / 1_000;
  const loaded = kb(scripts.map((script) => script.split('/').at(-1) ?? ''));
  const all = kb(readdirSync(join(DIST, 'assets')).filter((name) => name.endsWith('.js')));
  const median = times.sort((a, b) => a - b)[2] ?? 0;
  say('script on first load', `${loaded.toFixed(1)} kB compressed`, loaded / LIMIT_SCRIPT_KB, 'of 100 kB');
  say('script of all views', `${all.toFixed(1)} kB compressed`, all / LIMIT_SCRIPT_KB, 'of 100 kB');
  say(
    'first load until the fleet is shown',
    `${median.toFixed(0)} ms (median of 5)`,
    median / LIMIT_FIRST_LOAD_MS,
    'of 1 s',
  );
}

/** A scroll from top to bottom, and the same over a list of the same size that says nothing: the limit of this machine. */
async function scroll(page: Page, to: string, what: string, list: { count: number; rowPx: number }): Promise<void> {
  await page.goto(`${url}/empty?count=${list.count}&rowPx=${list.rowPx}`);
  const empty = await measureScroll(page);
  await page.goto(to);
  await page.waitForSelector('.line');
  const ours = await measureScroll(page);
  const frames = ({ p50Ms, p95Ms, worstMs }: typeof ours): string =>
    `frames p50 ${p50Ms.toFixed(1)} ms, p95 ${p95Ms.toFixed(1)} ms, worst ${worstMs.toFixed(1)} ms`;
  say(`scroll over ${what}`, frames(ours), ours.p95Ms / empty.p95Ms, `of the empty list's p95 (${frames(empty)})`);
  say(
    '',
    `${ours.workMs.toFixed(1)} ms of work per frame of 16.7 ms`,
    ours.workMs / empty.workMs,
    `of the empty list's ${empty.workMs.toFixed(1)} ms`,
  );
  say('', `${ours.rows} rows in the page, the last is ${ours.last} of ${list.count}`);
}

/** One record in the middle of the ledger: all of it is searched. */
async function filter(page: Page): Promise<void> {
  const end = `shop-${Math.max(1, Math.round(records / 400))}","reason":"the next`;
  const start = performance.now();
  await page.goto(`${url}/timeline?text=${encodeURIComponent(end)}`);
  await page.getByText(/^[\d\s]+found$/).waitFor({ timeout: 120_000 });
  const seconds = (performance.now() - start) / 1000;
  const found = await page.locator('[role=status]').last().textContent();
  say(`a filter over ${records} records`, `${seconds.toFixed(1)} s to the end, ${found}`);
}

async function lookBack(): Promise<void> {
  const { startMs, medianMs, worstMs, timesFaster } = await measureLookBack(ledger);
  say(
    `looking back on ${records} records`,
    `median ${medianMs.toFixed(0)} ms, worst ${worstMs.toFixed(0)} ms; ${timesFaster.toFixed(0)} times as fast as from record 0`,
  );
  say('', `the replay at a start, which leaves the folds: ${(startMs / 1000).toFixed(1)} s`);
}

async function check(page: Page): Promise<void> {
  await page.goto(`${url}/evidence?from=0&to=${records - 1}`);
  await page.waitForSelector('[data-verb=check]');
  const start = performance.now();
  await page.click('[data-verb=check]');
  await page.locator('.steps li:nth-child(4)').waitFor({ timeout: 120_000 });
  const seconds = (performance.now() - start) / 1000;
  const found = await page.locator('.steps').textContent();
  if (!found?.includes('Chain holds')) throw new Error(`the check did not hold: ${found}`);
  say(
    `check of ${records} records by the browser`,
    `${seconds.toFixed(1)} s, ${Math.round(records / seconds)} records/s`,
  );
}

function say(what: string, figure: string, ratio?: number, of = ''): void {
  process.stdout.write(`${what.padEnd(44)} ${figure}${ratio === undefined ? '' : `: ${ratio.toFixed(2)} ${of}`}\n`);
}
