import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { testPort } from '../lib/test-port.fixture.ts';
import type { LadderStep } from '../load/ladder.ts';
import type { LoadResult } from '../load/result.ts';
import type { SlaRow } from '../load/sla.ts';
import type { CliIo } from './io.ts';
import { runCli } from './program.ts';

let server: Server;
let url: string;

beforeAll(async () => {
  server = createServer((_, response) => response.end('ok'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function run(...args: string[]): Promise<{ code: number; out: string; said: string }> {
  let out = '';
  let said = '';
  const io: CliIo = {
    out(text) {
      out += text;
    },
    say(text) {
      said += text;
    },
    ...{ env: {}, cwd: process.cwd(), interactive: false, columns: () => 80, color: false },
    ...{ clock: systemClock, signal: new AbortController().signal, exitCode: 0 },
  };
  return { code: await runCli(args, io), out, said };
}

test('load run: the exit code is the verdict', async () => {
  const { code, out } = await run(
    'load',
    'run',
    '--url',
    url,
    '--rps',
    '100',
    '--for',
    '1s',
    '--p99',
    '10s',
    '-o',
    'json',
  );
  const { result, sla, schemaVersion } = JSON.parse(out) as {
    result: LoadResult;
    sla: SlaRow[];
    schemaVersion: number;
  };
  expect(schemaVersion).toBe(1);
  expect(result.counts.ok).toBe(result.counts.requests);
  // A hundred requests cannot prove a p99, however quick they were.
  expect(sla).toMatchObject([{ name: 'p99', verdict: 'UNPROVEN' }]);
  expect(code).toBe(3);
});

test('load run: the summary for people names what was measured', async () => {
  const { out } = await run('load', 'run', '--url', url, '--ramp', '50..150', '--for', '1s', '--arrivals', 'uniform');
  expect(out).toMatch(/^run {10}(VALID|INVALID)/);
  for (const word of ['offered', 'requests', 'response', 'service', 'generator', 'p99.9']) expect(out).toContain(word);
  expect(out).toMatch(/p99\.9 [\d.]+\?/);
  expect(out).toContain('? too few requests for this percentile');
});

test('where nothing answers no run is good, no rate is carried, and nothing is proposed', async () => {
  const port = await testPort();
  const dead = ['--url', `http://127.0.0.1:${port}/`, '--for', '300ms'];
  const once = await run('load', 'run', ...dead, '--rps', '20');
  expect(once).toMatchObject({ code: 3, out: expect.stringContaining('no request succeeded') });
  const ladder = await run('load', 'ladder', ...dead, '--start', '20');
  expect(ladder).toMatchObject({ code: 3, out: expect.stringContaining('carried      nothing') });
  const baseline = await run('load', 'baseline', ...dead, '--rps', '20', '--runs', '1', '--no-store');
  expect(baseline).toMatchObject({
    code: 3,
    out: expect.stringContaining('no alert thresholds: a run had no success'),
  });
});

test('load run: what stands in the file is not said again; how it is run may be', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'davy-load-')), 'mix.yaml');
  writeFileSync(file, `targets: [{ url: "${url}" }]\nrate: 20/s\nfor: 500ms\n`);
  const twice = await run('load', 'run', file, '--rps', '100', '--for', '1m');
  expect(twice.code).toBe(2);
  expect(twice.said).toContain('leave out --rps and --for');
  const { out } = await run('load', 'run', file, '--seed', '7', '--arrivals', 'uniform', '-o', 'json');
  const { result } = JSON.parse(out) as { result: LoadResult };
  expect(result).toMatchObject({ seed: 7, model: 'open/uniform' });
  rmSync(dirname(file), { recursive: true });
});

test('load run: durations are written in the help as they are typed', async () => {
  const { out } = await run('load', 'run', '--help');
  expect(out).toMatch(/--for <duration> +how long \(default: 30s\)/);
});

test.each([
  [
    'a number without a unit as a duration',
    ['--url', 'http://127.0.0.1:1/', '--for', '30'],
    '"30" is not a duration; write 30s',
  ],
  ['nothing to ask', ['--rps', '5'], 'load file or --url'],
  ['no rate', ['--url', 'http://127.0.0.1:1/'], '--rps and --ramp'],
  ['two rates', ['--url', 'http://127.0.0.1:1/', '--rps', '5', '--ramp', '1..2'], '--rps and --ramp'],
  ['a rate that is none', ['--url', 'http://127.0.0.1:1/', '--rps', 'fast'], 'rate such as'],
  ['a file that is not there', ['no-such-file.yaml'], 'cannot be read'],
  ['an address that is not http', ['--url', 'ftp://x/', '--rps', '5'], 'http://'],
])('load run with %s is a usage error', async (_, args, says) => {
  const { code, said } = await run('load', 'run', ...args);
  expect(code).toBe(2);
  expect(said).toContain(says);
});

test('load ladder tells the highest rate that was carried', async () => {
  const { code, out } = await run(
    'load',
    'ladder',
    '--url',
    url,
    '--start',
    '20',
    '--max',
    '40',
    '--for',
    '300ms',
    '-o',
    'json',
  );
  const { knee, steps } = JSON.parse(out) as { knee: { ratedPerSecond: number | null }; steps: LadderStep[] };
  expect(steps.length).toBeGreaterThan(0);
  // A busy machine may spoil every run of six requests: then nothing was carried, and the exit code says so.
  const allSpoiled = steps.every(({ result }) => result.validity.verdict === 'INVALID');
  expect(knee.ratedPerSecond === null).toBe(allSpoiled);
  expect(code).toBe(allSpoiled ? 3 : 0);
});
