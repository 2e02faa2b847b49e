import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { testPort, testPorts } from '../../src/lib/test-port.fixture.ts';
import { startLoad, steadyPlan } from '../../src/load/start-load.ts';
import { davy as command, QUICK_POLICY, type Running, SERVICE_FILE, specOf, up } from './harness.ts';
import { canMount, smallDisk } from './small-disk.ts';

describe('bad input has a code, a place and a next step, and loses nothing', () => {
  const open: Running[] = [];
  afterEach(async () => {
    // The last first: one that was started again uses the folder of the one before.
    for (const running of open.splice(0).reverse()) await running.end();
  });
  async function upWith(spec: string, parent?: string): Promise<Running> {
    const running = await up(spec, parent);
    open.push(running);
    return running;
  }

  it('names the port that is in use, and the line of the spec', async () => {
    const port = await testPort();
    const other = createServer().listen(port, '127.0.0.1');
    await once(other, 'listening');
    const failure = await upWith(specOf({ shop: { port, versions: {} } }, QUICK_POLICY)).catch(String);
    other.close();
    expect(failure).toContain('traffic/port-in-use');
    expect(failure).toContain(String(port));
    expect(failure).toMatch(/at .*davy\.yaml:5:13/);
    expect(failure).toContain('next:');
  });

  it('names the API port that is in use', async () => {
    const running = await upWith(specOf({ shop: { port: await testPort(), versions: {} } }, QUICK_POLICY));
    const folder = mkdtempSync(join(tmpdir(), 'davy-e2e-'));
    const port = await testPort();
    writeFileSync(join(folder, 'davy.yaml'), specOf({ shop: { port, versions: {} } }, QUICK_POLICY));
    const second = await command(['up', join(folder, 'davy.yaml'), '--port', String(running.port)]);
    rmSync(folder, { recursive: true, force: true });
    expect(second.stderr).toContain('api/port-in-use');
    expect(second.code).toBe(2);
  });

  it('fails the release of a version that never becomes healthy; stable keeps everything', async () => {
    const port = await testPort();
    const davy = await upWith(specOf({ shop: { port, versions: { v2: { BROKEN_HEALTH: 1 } } } }, QUICK_POLICY));
    const load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: 50 }));
    const released = await davy.davy('release', 'shop', 'v2', '--wait', '--timeout', '30s', '--reason', 'x');
    const { counts } = await load.stop();
    expect(released.code, released.stderr).toBe(3);
    expect(released.stdout).toContain('were ready after');
    expect(counts.errors).toEqual({});
    expect((await davy.release('shop-1')).canaryRequests).toBe(0);
  });

  it('refuses unknown names and conflicting operators with the right exit codes', async () => {
    const port = await testPort();
    const davy = await upWith(specOf({ shop: { port, versions: { v2: {}, v3: {} } } }, QUICK_POLICY));
    const expectations: [string[], number, string][] = [
      [['release', 'shop', 'v9', '--reason', 'x'], 2, 'release/unknown-version'],
      [['release', 'cart', 'v2', '--reason', 'x'], 2, 'release/unknown-service'],
      [['release', 'shop', 'v1', '--reason', 'x'], 2, 'release/already-stable'],
      [['release', 'shop', 'v2'], 2, '--reason'],
      [['explain', 'shop-7'], 2, 'release/unknown-release'],
      [['pause', 'shop-7', '--reason', 'x'], 2, 'release/unknown-release'],
    ];
    for (const [args, code, text] of expectations) {
      const outcome = await davy.davy(...args);
      expect(outcome.stderr, args.join(' ')).toContain(text);
      expect(outcome.code, args.join(' ')).toBe(code);
    }
    const env = (actor: string): NodeJS.ProcessEnv => ({ ...process.env, DAVY_ACTOR: actor });
    const as = (actor: string, ...args: string[]) =>
      command([...args, '--port', String(davy.port)], { env: env(actor) });
    expect((await as('ada', 'release', 'shop', 'v2', '--reason', 'mine')).code).toBe(0);
    const refused = await as('bob', 'release', 'shop', 'v3', '--reason', 'no, mine');
    expect(refused.stderr).toContain('release/in-flight-by-another');
    expect(refused.code).toBe(5);
    expect((await as('bob', 'release', 'shop', 'v3', '--supersede', '--reason', 'agreed with ada')).code).toBe(0);
    expect((await davy.release('shop-1')).phase).toBe('cancelled');
  });

  it('says that nothing answers, and that waiting took too long', async () => {
    const [port = 0, free = 0] = await testPorts(2);
    expect(await command(['status', '--port', String(free)])).toMatchObject({ code: 6 });
    const davy = await upWith(specOf({ shop: { port, versions: { v2: {} } } }, QUICK_POLICY));
    const waited = await davy.davy('release', 'shop', 'v2', '--wait', '--timeout', '1s', '--reason', 'x');
    expect(waited.stderr).toContain('cli/wait-timeout');
    expect(waited.code).toBe(4);
  });

  it('refuses to start on an edited ledger and names the first bad record', async () => {
    const davy = await upWith(specOf({ shop: { port: await testPort(), versions: {} } }, QUICK_POLICY));
    davy.process.kill('SIGTERM');
    await once(davy.process, 'exit');
    const segment = join(davy.dataDir, 'ledger/log/0000000000000000.jsonl');
    const text = readFileSync(segment, 'utf8');
    writeFileSync(segment, text.replace('"stable":"v1"', '"stable":"v9"'));
    const failure = String(await davy.again().catch(String));
    expect(failure).toContain('ledger/tampered');
    expect(failure).toMatch(/record|seq/);
    const verified = await command(['evidence', 'verify', '--data', davy.dataDir]);
    expect(verified.code).toBe(1);
    expect(`${verified.stdout}${verified.stderr}`).toMatch(/record \d+/i);
    writeFileSync(segment, text);
    expect((await command(['evidence', 'verify', '--data', davy.dataDir])).code).toBe(0);
  });

  it('cuts a torn tail, which was never acknowledged, and starts', async () => {
    const davy = await upWith(specOf({ shop: { port: await testPort(), versions: {} } }, QUICK_POLICY));
    const controller = Number(
      /ctl-(\d+)/.exec(readFileSync(join(davy.dataDir, 'ledger/log/0000000000000000.jsonl'), 'utf8'))?.[1],
    );
    // The controller first: it would close the ledger properly when its supervisor goes away.
    process.kill(controller, 'SIGKILL');
    davy.process.kill('SIGKILL');
    await once(davy.process, 'exit');
    appendFileSync(join(davy.dataDir, 'ledger/log/0000000000000000.jsonl'), '{"v":1,"seq":');
    open.push(await davy.again());
    expect((await command(['evidence', 'verify', '--data', davy.dataDir])).code).toBe(0);
  });

  it.runIf(canMount())('with a full disk nothing is raised, and a rollback still works', async () => {
    const port = await testPort();
    const disk = smallDisk();
    try {
      const davy = await upWith(specOf({ shop: { port, versions: { v2: {}, v3: {} } } }, QUICK_POLICY), disk.folder);
      const load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: 100 }));
      await davy.davy('release', 'shop', 'v2', '--reason', 'x');
      await davy.until('at 20 %', (fleet) => fleet.services[0]?.effectiveWeightBp === 2000, 15_000);
      disk.fill();
      const promoted = await davy.davy('promote', 'shop-1', '--reason', 'hurry');
      expect(promoted.stderr).toContain('ledger');
      expect(promoted.code).not.toBe(0);
      expect((await davy.davy('rollback', 'shop-1', '--reason', 'disk is full')).code).toBe(0);
      await davy.until('at 0 %', (fleet) => fleet.services[0]?.effectiveWeightBp === 0, 15_000);
      await load.stop();
      await davy.end();
      open.length = 0;
    } finally {
      disk.remove();
    }
  });

  it('refuses to verify what is not there before it starts anything', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'davy-e2e-'));
    const file = join(folder, 'davy.yaml');
    writeFileSync(file, specOf({ shop: { port: await testPort(), versions: { v2: {} } } }, QUICK_POLICY));
    const verify = async (...args: string[]) => command(['verify', file, '--port', String(await testPort()), ...args]);
    for (const [args, says] of [
      [['--bad', 'v9'], 'There is no version "v9" of shop to release; did you mean v2? Known: v2.'],
      [['--rps', 'many'], '"many" is not a rate'],
    ] as const) {
      const refused = await verify(...args);
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(says) });
      expect(refused.stderr).not.toContain('starting');
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it('reports every problem of a spec at once, each with line and column', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'davy-e2e-'));
    const file = join(folder, 'davy.yaml');
    writeFileSync(
      file,
      `davy: 1\nsystem: x\nservices:\n  shop:\n    lisen: 1\n    stable: v1\n    versions: { v1: { run: "node '${SERVICE_FILE}'" } }\n`,
    );
    const checked = await command(['check', file]);
    rmSync(folder, { recursive: true, force: true });
    expect(checked.code).toBe(2);
    expect(checked.stdout).toContain('did you mean listen?');
    expect(checked.stdout).toMatch(/davy\.yaml:5:5/);
  });
});
