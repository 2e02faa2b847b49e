import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { recordingIo } from './recording-io.fixture.ts';
import { register } from './simulate.ts';

const SPEC = `
davy: 1
system: shop
services:
  service-b:
    listen: 8082
    stable: v1
    versions:
      v1: { run: "node service.mjs", replicas: 3 }
      v2: { run: "node service.mjs", replicas: 3 }
    health: { path: /q/health }
    release: standard
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
    promote: { confidence: 99%, errors: { ratio: 1.25, plus: 0.1pp }, latency: { ratio: 1.5, plus: 0.5pp } }
    noData: { hold: 5m, then: rollback }
    inconclusive: { hold: 2h, then: hold }
`;

async function simulate(...args: string[]): Promise<{ out: string; said: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'davy-simulate-'));
  await writeFile(join(dir, 'davy.yaml'), SPEC);
  const { io, got } = recordingIo(dir);
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  register(program, io);
  await program.parseAsync(['simulate', 'davy.yaml', ...args], { from: 'user' });
  return got;
}

describe('davy simulate', () => {
  it('answers what the policy does to a bad release, next to plain thresholds', async () => {
    const { out, said } = await simulate('--runs', '6', '--scenario', 'errors:0.6%', '--rps', '200', '-o', 'json');
    const found = JSON.parse(out);
    expect(found).toMatchObject({ schemaVersion: 1, service: 'service-b', runs: 6, davy: { caught: { share: 1 } } });
    expect(found.davy.caught.medianFailed).toBeLessThan(found.plain.excessFailed);
    // Below its limit of 1 % the plain rule sees nothing.
    expect(found.plain.promoted.share).toBeGreaterThan(0.5);
    expect(said).toContain('6 of 6 releases simulated');
  });

  it('answers people in a table, the same for the same seed', async () => {
    const ask = async (): Promise<string> => (await simulate('--runs', '6', '--rps', '200')).out;
    const first = await ask();
    expect(first).toMatch(/rolled back without harm +0% \(at most 39%\)/);
    expect(await ask()).toBe(first);
  });

  it.each([
    ['--rps', 'many'],
    ['--runs', '0'],
    ['--base-errors', '0.1'],
    ['--scenario', 'sunshine'],
    ['--service', 'nobody'],
  ])('refuses %s %s', async (option, value) => {
    await expect(simulate(option, value)).rejects.toThrow(value);
  });
});
