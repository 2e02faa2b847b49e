import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
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
const folders: string[] = [];

beforeAll(async () => {
  server = createServer((_, response) => response.end('ok'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const run = (...args: string[]) => runUntil(new AbortController().signal, args);

/** `signal`: Ctrl-C. */
async function runUntil(signal: AbortSignal, args: string[]) {
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
    ...{ clock: systemClock, signal, exitCode: 0 },
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
  expect(once).toMatchObject({
    code: 3,
    out: expect.stringMatching(/INVALID: no request was answered \(refused \d+\)/),
  });
  expect(once.out).toMatch(/response +p50 –/);
  expect(once.out).toContain('next: see whether the service runs at this address');
  const ladder = await run('load', 'ladder', ...dead, '--start', '20');
  expect(ladder).toMatchObject({ code: 3, out: expect.stringContaining('carried      nothing') });
  const baseline = await run('load', 'baseline', ...dead, '--rps', '20', '--runs', '1', '--no-store');
  expect(baseline).toMatchObject({
    code: 3,
    out: expect.stringContaining('nothing is proposed, and nothing is kept'),
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
  ['HTTP/2', ['--url', 'http://127.0.0.1:1/', '--rps', '5', '--http2'], "unknown option '--http2'"],
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
  const { knee, steps } = JSON.parse(out) as {
    knee: { found: string; ratedPerSecond: number | null };
    steps: LadderStep[];
  };
  expect(steps.length).toBeGreaterThan(0);
  // A busy machine may spoil runs of six requests: then the knee is not known, and the exit code says so.
  expect(code).toBe(['knee', 'max'].includes(knee.found) ? 0 : 3);
  if (steps.every(({ result }) => result.validity.verdict === 'VALID'))
    expect(knee).toMatchObject({ found: 'max', ratedPerSecond: 40 });
});

test.each([
  ['load run', ['run', '--rps', '50', '--for', '1h']],
  ['load ladder', ['ladder', '--start', '50', '--for', '1h']],
  ['load baseline', ['baseline', '--rps', '50', '--for', '1h', '--no-store']],
])('%s that is interrupted shows what it has and exits 130', async (_, [verb, ...more]) => {
  const interrupt = new AbortController();
  const requests = new Promise<void>((resolve) => server.once('request', () => resolve()));
  void requests.then(() => interrupt.abort('SIGINT'));
  const args = ['load', verb!, '--url', url, ...more, '-o', 'json'];
  const { code, out, said } = await runUntil(interrupt.signal, args);
  expect(code).toBe(130);
  expect(JSON.parse(out)).toMatchObject({ interrupted: true });
  expect(said).toContain('interrupted');
});

const k6Script = `export const options = {
  scenarios: { a: { executor: 'constant-arrival-rate', rate: 20, duration: '500ms', preAllocatedVUs: 5 } },
  thresholds: { http_req_duration: ['p(95)<500'] },
};`;

function inFolder(files: Record<string, string>): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'davy-load-'));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return (name) => join(folder, name);
}

test('load run --k6: the scenario gives the rate, at even intervals, with its users as connections', async () => {
  const at = inFolder({ 'script.js': k6Script });
  const { out, said } = await run('load', 'run', '--url', url, '--k6', at('script.js'), '-o', 'json');
  const { result, sla, notes } = JSON.parse(out) as { result: LoadResult; sla: SlaRow[]; notes: string[] };
  expect(result).toMatchObject({ model: 'open/uniform', offeredPerSecond: expect.any(Number) });
  expect(result.counts.requests + result.dropped).toBe(9);
  expect(sla.map((row) => row.name)).toEqual(['p95']);
  expect(notes.join()).toContain('even intervals');
  expect(said).toContain("note: the script's functions are not run");
});

test('load run FILE --k6: the rate is that of the file, the promises are those of k6, and it is said', async () => {
  const at = inFolder({ 'script.js': k6Script, 'mix.yaml': `targets: [{ url: "${url}" }]\nrate: 50/s\nfor: 400ms\n` });
  const { out } = await run(
    'load',
    'run',
    at('mix.yaml'),
    '--k6',
    at('script.js'),
    '--arrivals',
    'uniform',
    '-o',
    'json',
  );
  const { result, sla, notes } = JSON.parse(out) as { result: LoadResult; sla: SlaRow[]; notes: string[] };
  expect(result.counts.requests).toBe(19);
  expect(sla.map((row) => row.name)).toEqual(['p95']);
  expect(notes[0]).toContain('the arrival rates of the k6 options are left out');
});

test('load run --k6 refuses a load that would be another one, with every place', async () => {
  const text =
    "export const options = { scenarios: { a: {\n executor: 'constant-arrival-rate', rate: R, duration: '1s', x: 1 } } };";
  const at = inFolder({ 'script.js': text });
  const { code, said } = await run('load', 'run', '--url', url, '--k6', at('script.js'));
  expect(code).toBe(2);
  expect(said).toMatch(
    /scenarios\.a\.rate has to be run to be known: R\.\n.*script\.js:2:43\n[\s\S]*scenarios\.a\.x is not known\.\n.*script\.js:2:65\n/,
  );
  const closed = inFolder({ 'script.js': 'export const options = { vus: 5, duration: "1s" };' });
  const refused = await run('load', 'run', '--url', url, '--k6', closed('script.js'));
  expect(refused).toMatchObject({ code: 2, said: expect.stringContaining('closed model') });
  const given = await run('load', 'run', '--url', url, '--rps', '20', '--for', '300ms', '--k6', closed('script.js'));
  expect(given.said).toContain('closed model); Davy sends by the clock: left out, since the rate is given here');
  expect(given.code).not.toBe(2);
});

test('load run over TLS: with the certificates of a file, or with none checked', async () => {
  const folder = join(import.meta.dirname, '../gateway/testing/certificates');
  const secure = createTlsServer(
    { cert: readFileSync(join(folder, 'one.pem')), key: readFileSync(join(folder, 'one.key')) },
    (_, response) => response.end('ok'),
  ).on('tlsClientError', () => {});
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
  const target = `https://127.0.0.1:${(secure.address() as AddressInfo).port}/`;
  const at = inFolder({
    'ca.pem': readFileSync(join(folder, 'ca.pem'), 'utf8'),
    'mix.yaml': `targets: [{ url: "${target}" }]\nrate: 50/s\nfor: 300ms\ntls: { ca: ca.pem, serverName: one.test }\n`,
  });
  const okOf = ({ out }: { out: string }) => (JSON.parse(out) as { result: LoadResult }).result.counts;
  expect(okOf(await run('load', 'run', at('mix.yaml'), '-o', 'json'))).toMatchObject({ errors: {} });
  const steady = ['--url', target, '--rps', '50', '--for', '300ms', '-o', 'json'];
  expect(okOf(await run('load', 'run', ...steady, '--insecure', '--no-keep-alive'))).toMatchObject({ errors: {} });
  const named = ['--ca', at('ca.pem'), '--server-name', 'one.test'];
  expect(okOf(await run('load', 'run', ...steady, ...named))).toMatchObject({ errors: {} });
  const unknown = okOf(await run('load', 'run', ...steady));
  expect(unknown.errors).toEqual({ tls: unknown.requests });
  secure.closeAllConnections();
  secure.close();
});
