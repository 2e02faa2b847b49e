import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { recordingIo } from './recording-io.fixture.ts';
import { register } from './replay.ts';

const SPEC = `
davy: 1
system: shop
services:
  service-b:
    listen: 8082
    stable: v1
    versions:
      v1: { endpoints: ["http://127.0.0.1:9101"] }
      v2: { endpoints: ["http://127.0.0.1:9102"] }
    health: { path: /q/health }
    release: standard
policies:
  standard:
    look: 1s
    steps:
      - { weight: 10%, hold: 15m, limits: { errors: 1%, p95: 500ms } }
      - { weight: 100%, hold: 15m, limits: { errors: 1%, p95: 500ms } }
    sustained: 5m
    instant: { errors: 5%, over: 30s, minRequests: 50 }
    compare: { falseRollback: 1%, errors: { ratio: 1.1, plus: 0.01pp }, latency: { ratio: 1.2 } }
    promote: { confidence: 99%, errors: { ratio: 1.25, plus: 0.1pp }, latency: { ratio: 1.5, plus: 0.5pp } }
    noData: { hold: 5m, then: rollback }
    inconclusive: { hold: 24h, then: hold }
`;

const EDGES = [50, 100, 500];

function line(t: number, canaryErrors: number, requests = 300): string {
  const row = (instance: string, n: number, errors: number) => ({
    instance,
    requests: n,
    errors,
    over: [n / 2, n / 10, n / 200],
  });
  const versions = { v1: [row('a', requests * 9, (requests * 9) / 1000)], v2: [row('b', requests, canaryErrors)] };
  return JSON.stringify({ t, edges: EDGES, versions });
}

const jsonl = (count: number, canaryErrors: number): string =>
  `${Array.from({ length: count }, (_, i) => line(30 * (i + 1), canaryErrors)).join('\n')}\n`;

async function replay(name: string, text: string, ...more: string[]): Promise<Record<string, unknown>> {
  const dir = await mkdtemp(join(tmpdir(), 'davy-replay-'));
  await writeFile(join(dir, 'davy.yaml'), SPEC);
  await writeFile(join(dir, name), text);
  const { io, got } = recordingIo(dir);
  const program = new Command().exitOverride();
  register(program, io);
  const argv = ['replay', 'davy.yaml', '--service', 'service-b', '--ticks', name, '-o', 'json', ...more];
  await program.parseAsync(argv, { from: 'user' });
  return JSON.parse(got.out);
}

describe('davy replay', () => {
  it('answers with the documented document', async () => {
    const found = await replay('ticks.jsonl', jsonl(40, 15), '--canary', 'v2', '--weight', '10%');
    expect(found).toMatchObject({ schemaVersion: 1, verdict: 'rollback', speed: expect.any(String) });
    expect(found.promote).toEqual({ passed: false, harmBound: null });
    expect(found.canaryRequests).toBe(((found.at as number) / 30) * 300);
    expect(found.failedRequests).toBe(((found.at as number) / 30) * 15);
    expect(found.evidence).toMatchObject({ total: expect.any(Number), metrics: { errors: expect.any(Number) } });
  });

  it('advances a good canary at the end of its hold, when that is proven', async () => {
    const longer = await replay('ticks.jsonl', jsonl(400, 0.3));
    expect(longer.verdict).toBe('advance');
  });

  it('holds on what cannot be counted, and never fails on it', async () => {
    const text = `${jsonl(10, 0.3)}${line(330, 0.3).replace(/"errors":0\.3/, '"errors":NaN')}\n`;
    const found = await replay('ticks.jsonl', text);
    expect(found).toMatchObject({ verdict: 'hold', at: 330 });
    expect(found.reason).toContain('errors is null');
  });

  it('reads CSV', async () => {
    const rows = Array.from({ length: 40 }, (_, i) => {
      const t = 30 * (i + 1);
      return `${t},v1,a,2700,2.7,1350,270,13\n${t},v2,b,300,15,150,30,1\n`;
    });
    const found = await replay(
      't.csv',
      `t,version,instance,requests,errors,over_50,over_100,over_500\n${rows.join('')}`,
    );
    expect(found.verdict).toBe('rollback');
  });

  it('reads the answer of a Prometheus range query, counter resets included', async () => {
    const times = Array.from({ length: 40 }, (_, i) => 30 * i);
    const series = (labels: Record<string, string>, perTick: number) => ({
      metric: labels,
      // The counter restarts at 0 in the middle.
      values: times.map((t, i) => [t, String((i < 20 ? i : i - 20) * perTick)]),
    });
    const of = (version: string, requests: number, errors: number) => [
      series(
        { __name__: 'istio_requests_total', destination_version: version, pod: version, response_code: '200' },
        requests - errors,
      ),
      series(
        { __name__: 'istio_requests_total', destination_version: version, pod: version, response_code: '503' },
        errors,
      ),
      ...[...EDGES, Number.POSITIVE_INFINITY].map((le, j) =>
        series(
          {
            __name__: 'istio_request_duration_milliseconds_bucket',
            destination_version: version,
            pod: version,
            le: le === Number.POSITIVE_INFINITY ? '+Inf' : String(le),
          },
          requests * [0.5, 0.9, 0.995, 1][j]!,
        ),
      ),
    ];
    const answer = {
      status: 'success',
      data: { resultType: 'matrix', result: [...of('v1', 2700, 3), ...of('v2', 300, 15)] },
    };
    const found = await replay('range.json', JSON.stringify(answer));
    expect(found.verdict).toBe('rollback');
  });

  it.each([
    ['no JSON at all', 'ticks.jsonl', '{"t":1}\nhello\n', /Line 2/],
    ['an empty file', 'ticks.jsonl', '\n\n', /no ticks/],
    ['a CSV without its columns', 't.csv', 'a,b\n1,2\n', /lacks t, version/],
    [
      'a CSV with a column that nobody reads',
      't.csv',
      't,version,requests,errors,over_500ms\n',
      /over_500ms, which is none of/,
    ],
    ['a CSV with a column twice', 't.csv', 't,version,requests,errors,errors\n', /errors twice/],
    ['a Prometheus vector', 'p.json', '{"data":{"resultType":"vector","result":[]}}', /range query/],
  ])('refuses %s with its place', async (_, name, text, says) => {
    await expect(replay(name, text)).rejects.toThrow(says);
  });
});
