import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { promotionDoubts } from '../analysis/simulate/promotable.ts';
import type { DavyError } from '../lib/error.ts';
import { parseSpec } from '../spec/parse.ts';
import { register } from './check.ts';
import { renderError } from './fail.ts';
import { recordingIo } from './recording-io.fixture.ts';

function specFor(rate: string, changes: Record<string, string> = {}): string {
  return Object.entries(changes).reduce(
    (text, [from, to]) => text.replaceAll(from, to),
    `davy: 1
system: shop
services:
  cart:
    listen: 8082
    stable: v1
    versions:
      v1: { run: "node service.mjs", replicas: 3 }
      v2: { run: "node service.mjs", replicas: 3 }
    health: { path: /q/health }
    release: standard
    expect: { rate: ${rate} }
policies:
  standard:
    look: 5s
    steps:
      - { weight: 10%, hold: 20m, limits: { errors: 1%, p95: 500ms } }
      - { weight: 50%, hold: 10m, limits: { errors: 1%, p95: 500ms } }
      - { weight: 100%, hold: 10m, limits: { errors: 1%, p95: 500ms } }
    sustained: 5m
    instant: { errors: 5%, over: 30s, minRequests: 50 }
    compare: { falseRollback: 1%, errors: { ratio: 1.1, plus: 0.01pp }, latency: { ratio: 1.2 } }
    promote: { confidence: 99%, errors: { ratio: 1.25, plus: 0.5pp }, latency: { ratio: 1.5, plus: 2pp } }
    noData: { hold: 5m, then: rollback }
    inconclusive: { hold: 20m, then: hold }
`,
  );
}

async function check(text: string, ...more: string[]): Promise<{ out: string; said: string; exitCode: number }> {
  const dir = await mkdtemp(join(tmpdir(), 'davy-check-'));
  await writeFile(join(dir, 'davy.yaml'), text);
  const { io, got } = recordingIo(dir);
  const program = new Command().exitOverride();
  register(program, io);
  await program.parseAsync(['check', 'davy.yaml', ...(more.length > 0 ? more : ['-o', 'json'])], { from: 'user' });
  return { ...got, exitCode: io.exitCode };
}

const unlikely = (out: string): { sentence: string; position: { line: number }; severity: string; next: string }[] =>
  JSON.parse(out).findings.filter(({ code }: { code: string }) => code === 'analysis/promotion-unlikely');

describe('davy check', () => {
  it('warns about a policy that cannot promote at the declared traffic, with figures and the same ones each time', async () => {
    const { out, exitCode } = await check(specFor('1/s'));
    const [found] = unlikely(out);
    expect(found).toMatchObject({ severity: 'warning', position: { line: 12 } });
    expect(found!.sentence).toMatch(/^services\.cart: at 1\/s, 0 of 20 simulated healthy releases were promoted/);
    expect(found!.next).toContain('--service cart --rps 1`');
    expect(exitCode).toBe(0);
    expect(unlikely((await check(specFor('1/s'))).out)[0]!.sentence).toBe(found!.sentence);
  });

  it('says nothing about one that can', async () => {
    const { out, said, exitCode } = await check(specFor('300/s'));
    expect({ doubts: unlikely(out), said, exitCode }).toEqual({ doubts: [], said: '', exitCode: 0 });
  });

  it('says so when the releases are too long to simulate in passing', async () => {
    const { out, said, exitCode } = await check(specFor('300/s', { 'hold: 20m, then': 'hold: 700h, then' }));
    expect(unlikely(out)).toEqual([]);
    expect(said).toMatch(/^not simulated: services\.cart: 10 releases by policies\.standard are up to [\d,]+ looks/);
    expect(exitCode).toBe(0);
  });
});

describe('of many findings', () => {
  const many = (line: (i: number) => string): string =>
    specFor('300/s') + Array.from({ length: 321 }, (_, i) => line(i)).join('');
  const unknownFields = many((i) => `field${i}: 1\n`);
  const unusedPolicies = many((i) => `  p${i}: { steps: [{ weight: 100%, hold: 1h, limits: { errors: 1% } }] }\n`);

  it.each([
    ['errors', unknownFields, { errors: 321, warnings: 0 }],
    ['warnings', unusedPolicies, { errors: 0, warnings: expect.any(Number) }],
  ])('the first 50 %s are told, and all are counted', async (_, text, counts) => {
    const document = JSON.parse((await check(text)).out);
    expect(document).toMatchObject(counts);
    expect(document.errors + document.warnings).toBeGreaterThanOrEqual(321);
    expect(document.findings).toHaveLength(50);
    const { out } = await check(text, '-o', 'text');
    expect(out.match(/^ {2}next: /gm)).toHaveLength(50);
    expect(out).toMatch(/\n\n[\d,]+ errors, [\d,]+ warnings; the first 50 are shown\n$/);
  });

  it('a command that needs the spec tells as many and counts the others', () => {
    let thrown: unknown;
    try {
      parseSpec(unknownFields, 'davy.yaml');
    } catch (error) {
      thrown = error;
    }
    const text = String(renderError(thrown as DavyError, false));
    expect(text.match(/^error /gm)).toHaveLength(50);
    expect(text).toMatch(/\nand 271 more\n$/);
  });
});

it('one budget holds for all services of a file', () => {
  const { spec } = parseSpec(specFor('1/s'), 'davy.yaml');
  const cart = spec.services.cart!;
  const { unlikely: doubts, skipped } = promotionDoubts(
    { ...spec, services: { cart, basket: { ...cart, name: 'basket' } } },
    10_000,
  );
  expect(doubts.map(({ service }) => service)).toEqual(['cart']);
  expect(skipped).toHaveLength(1);
  expect(skipped[0]).toContain('services.basket');
});
