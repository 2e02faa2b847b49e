import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { type Anchors, startAnchors } from './anchors.ts';
import { signCheckpoint } from './checkpoint.ts';
import { leafHash } from './codec.ts';
import { cosignedAt } from './cosignature.ts';
import { type FileLedger, openFileLedger } from './file-ledger.ts';
import { type NoteSigner, parseVerifierKey, verifierKeyText } from './keys.ts';
import { nodesOfLeaves } from './node-source.ts';
import { parseNote } from './note.ts';
import { policyText } from './policy.ts';
import { rangeRoot } from './proof.ts';
import { startLocalTsa } from './testing/local-tsa.ts';
import { MemoryDisk } from './testing/memory-disk.ts';
import { testSigner } from './testing/signer.ts';
import { requestTimestamp, verifyTimestamp } from './timestamp.ts';
import { toBinary, toHex } from './tree.ts';
import { verifyLedger } from './verify.ts';
import { requestCosignature, type WitnessTarget } from './witness-client.ts';
import { type RunningWitness, startWitness } from './witness-server.ts';

const DIR = '/data/ledger';
const log = testSigner('davy/shop/00000001', 1);
const leaves = (tag: string, n: number): string[] =>
  Array.from({ length: n }, (_, i) => toBinary(leafHash(`${tag}${i}`)));

async function noteOf(tree: string[], signer: NoteSigner = log): Promise<string> {
  const root = toHex(await rangeRoot(nodesOfLeaves(tree), 0, tree.length));
  return signCheckpoint({ origin: signer.name, size: tree.length, root }, signer);
}

describe('a witness', () => {
  const clock = createVirtualClock();
  let disk: MemoryDisk;
  let witness: RunningWitness;
  let target: WitnessTarget;
  const events: number[] = [];

  async function start(): Promise<void> {
    witness = await startWitness({
      dir: '/witness',
      name: 'witness.example/w1',
      logKeys: [log],
      port: 0,
      clock,
      disk,
      onEvent: ({ status }) => events.push(status),
    });
    target = { url: witness.url, verifier: parseVerifierKey(witness.vkey) };
  }
  beforeEach(async () => {
    disk = new MemoryDisk();
    events.length = 0;
    await start();
  });
  afterEach(() => witness.close());

  const ask = async (tree: string[], known = 0): Promise<unknown> =>
    requestCosignature(target, await noteOf(tree), nodesOfLeaves(tree), known);

  it('cosigns a first tree and every extension, also after a restart, and says since when', async () => {
    const tree = leaves('a', 30);
    const first = await requestCosignature(target, await noteOf(tree.slice(0, 8)), nodesOfLeaves(tree), 0);
    expect(first.timeSec).toBe(Math.floor(clock.nowMs() / 1000));
    await witness.close();
    await start();
    await requestCosignature(target, await noteOf(tree.slice(0, 21)), nodesOfLeaves(tree.slice(0, 21)), 0);
    await requestCosignature(target, await noteOf(tree), nodesOfLeaves(tree), 21);
    await requestCosignature(target, await noteOf(tree), nodesOfLeaves(tree), 30);
    expect(events).toEqual([200, 409, 200, 200, 200]);
  });

  const refused = { code: 'ledger/witness-refused' };
  it('refuses a fork, a rewrite and a rollback', async () => {
    const tree = leaves('a', 20);
    await ask(tree);
    const fork = [...tree.slice(0, 10), ...leaves('b', 15)];
    await expect(ask(fork, 20)).rejects.toMatchObject(refused);
    const rewritten = [...tree.slice(0, 19), ...leaves('c', 1)];
    await expect(ask(rewritten, 20)).rejects.toMatchObject(refused);
    await expect(ask(tree.slice(0, 12))).rejects.toMatchObject(refused);
    expect(events).toEqual([200, 422, 409, 409]);
  });

  it('refuses logs it does not know and keys it does not trust', async () => {
    const tree = leaves('a', 3);
    const other = testSigner('davy/other/1', 1);
    const imposter = testSigner(log.name, 1);
    for (const [signer, code] of [
      [other, 'ledger/witness-lacks-key'],
      [imposter, 'ledger/witness-lacks-key'],
    ] as const) {
      const note = await noteOf(tree, signer);
      await expect(requestCosignature(target, note, nodesOfLeaves(tree), 0)).rejects.toMatchObject({ code });
    }
    expect(events).toEqual([404, 403]);
  });

  it.each([
    ['nothing', '', 400],
    ['no old size', 'x\n\n', 400],
    ['a proof that is no base64', 'old 0\n!!\n\na\n0\nb\n', 400],
    ['64 proof lines', `old 1\n${`${Buffer.alloc(32).toString('base64')}\n`.repeat(64)}\na`, 400],
    ['no checkpoint', 'old 0\n\nrubbish', 400],
    ['too much', 'x'.repeat(70_000), 413],
  ])('answers %s without remembering it', async (_, body, status) => {
    const response = await fetch(`${witness.url}/add-checkpoint`, { method: 'POST', body });
    expect(response.status).toBe(status);
    expect(disk.paths().filter((path) => path.includes('/seen/'))).toEqual([]);
  });

  it('lets exactly one of two forks through when they race', async () => {
    const trees = ['a', 'b', 'c', 'd'].map((tag) => leaves(tag, 9));
    const outcomes = await Promise.allSettled(trees.map((tree) => ask(tree)));
    expect(outcomes.filter((o) => o.status === 'fulfilled')).toHaveLength(1);
  });
});

describe('anchors', () => {
  const clock = createVirtualClock();
  const disk = new MemoryDisk();
  let ledger: FileLedger;
  let witness: RunningWitness;
  let anchors: Anchors | null = null;
  const alarms: [string, boolean][] = [];
  const happen = (n: number) => ledger.append([{ type: 'test.happened', stream: 's', data: { n } }]);

  beforeEach(async () => {
    ledger = await openFileLedger({ dir: DIR, system: 'shop', writerId: 'w', clock, disk, reserveBytes: 64 });
    const logKeys = [parseVerifierKey(ledger.vkey)];
    witness = await startWitness({ dir: '/witness', name: 'w.example', logKeys, port: 0, clock, disk });
    alarms.length = 0;
  });
  afterEach(async () => {
    await anchors?.close();
    await witness.close();
    await ledger.close();
  });
  const start = (url: string, tsaUrl: string | null = null, of = ledger): void => {
    anchors = startAnchors({
      ledger: of,
      clock,
      disk,
      witnesses: [{ url, verifier: parseVerifierKey(witness.vkey) }],
      tsaUrl,
      onAlarm: (anchor, problem) => alarms.push([anchor, problem !== null]),
    });
  };

  it('have checkpoints cosigned and timestamped, and record it', async () => {
    const tsa = await startLocalTsa();
    try {
      start(witness.url, tsa.url);
      for (let n = 0; n < 300; n++) await happen(n);
      const size = await anchors!.now();
      expect(size).toBe(301);
      const note = disk.contents(`${DIR}/checkpoints/${size}`);
      expect(cosignedAt(parseNote(note.toString()), parseVerifierKey(witness.vkey))).toBe(
        Math.floor(clock.nowMs() / 1000),
      );
      const stampedMs = await verifyTimestamp(disk.contents(`${DIR}/anchors/${size}.tsr`), note, tsa.caPem);
      expect(stampedMs).toBeGreaterThan(Date.UTC(2025, 0, 1));
      await expect(
        verifyTimestamp(disk.contents(`${DIR}/anchors/${size}.tsr`), Buffer.from('other'), tsa.caPem),
      ).rejects.toMatchObject({ code: 'ledger/timestamp-failed' });
      const [record] = await collect(ledger.read(301));
      expect(record).toMatchObject({
        type: 'ledger.anchored',
        data: { size: 301, cosigned_at: { 'w.example': expect.any(Number) } },
      });
      expect(await anchors!.now()).toBeNull();
      expect(alarms).toEqual([]);
      expect(await verifyLedger(DIR, { disk, witnesses: [witness.vkey] })).toMatchObject({
        ok: true,
        witnessed: [{ name: 'w.example', size: 301, timeSec: Math.floor(clock.nowMs() / 1000) }],
        warnings: [],
      });
    } finally {
      await tsa.close();
    }
  });

  it('raise one alarm for an outage and one for its end; appends go on', async () => {
    const { url } = witness;
    await witness.close();
    start(url, 'http://127.0.0.1:9/');
    await happen(1);
    await anchors!.now();
    await happen(2);
    await anchors!.now();
    expect(alarms).toEqual([
      ['witness w.example', true],
      ['timestamp', true],
    ]);
    expect(await happen(3)).toHaveLength(1);
    const logKeys = [parseVerifierKey(ledger.vkey)];
    witness = await startWitness({
      dir: '/witness',
      name: 'w.example',
      logKeys,
      port: Number(new URL(url).port),
      clock,
      disk,
    });
    await anchors!.now();
    expect(alarms.slice(2)).toEqual([['witness w.example', false]]);
  });

  it('say how each of those outside stands, also after a restart', async () => {
    const tsa = await startLocalTsa();
    start(witness.url, tsa.url);
    expect(anchors!.states()).toEqual([
      { name: 'witness w.example', size: null, atMs: null, problem: null, sinceMs: null, aheadSize: null },
      { name: 'timestamp', size: null, atMs: null, problem: null, sinceMs: null, aheadSize: null },
    ]);
    await happen(1);
    const size = await anchors!.now();
    const signedAtMs = Math.floor(clock.nowMs() / 1_000) * 1_000;
    expect(anchors!.states()).toMatchObject([
      { size, atMs: signedAtMs, problem: null },
      { size, problem: null },
    ]);
    await anchors!.close();
    const { url } = witness;
    await witness.close();
    await tsa.close();
    start(url, tsa.url);
    await happen(2);
    await anchors!.now();
    const sinceMs = clock.nowMs();
    await clock.advance(5_000);
    await anchors!.now();
    expect(anchors!.states()).toMatchObject([
      {
        name: 'witness w.example',
        size,
        atMs: signedAtMs,
        problem: expect.stringContaining('did not answer'),
        sinceMs,
      },
      { name: 'timestamp', size, atMs: expect.any(Number), problem: expect.stringContaining('No timestamp'), sinceMs },
    ]);
    const logKeys = [parseVerifierKey(ledger.vkey)];
    const port = Number(new URL(url).port);
    witness = await startWitness({ dir: '/witness', name: 'w.example', logKeys, port, clock, disk });
    await anchors!.now();
    expect(anchors!.states()[0]).toMatchObject({ problem: null, sinceMs: null, size: expect.any(Number) });
    expect(anchors!.states()[0]!.size).toBeGreaterThan(size!);
  });

  it('a witness that comes back does not spoil the timestamp that was taken without it', async () => {
    const tsa = await startLocalTsa();
    try {
      const { url } = witness;
      await witness.close();
      // What was stamped cannot be recorded, so nothing makes the next checkpoint another one.
      let isStuck = true;
      const stuck = new Proxy(ledger, {
        get(real, name: keyof FileLedger) {
          if (name === 'append' && isStuck) return () => Promise.reject(new Error('disk full'));
          const value: unknown = real[name];
          return typeof value === 'function' ? value.bind(real) : value;
        },
      });
      await happen(1);
      start(url, tsa.url, stuck);
      const size = await anchors!.now();
      const logKeys = [parseVerifierKey(ledger.vkey)];
      const port = Number(new URL(url).port);
      witness = await startWitness({ dir: '/witness', name: 'w.example', logKeys, port, clock, disk });
      expect(await anchors!.now()).toBe(size);
      const stamped = disk.contents(`${DIR}/checkpoints/${size}`);
      expect(await verifyTimestamp(disk.contents(`${DIR}/anchors/${size}.tsr`), stamped, tsa.caPem)).toBeGreaterThan(0);
      isStuck = false;
      await happen(2);
      await anchors!.now();
      expect((await verifyLedger(DIR, { disk, witnesses: [witness.vkey] })).witnessed[0]!.size).toBeGreaterThan(size!);
    } finally {
      await tsa.close();
    }
  });

  it('the witnesses of today and of before stand in the ledger, so that verify counts their cosignatures', async () => {
    start(witness.url);
    await happen(1);
    const size = await anchors!.now();
    await anchors!.close();
    await ledger.close();
    expect((await verifyLedger(DIR, { disk })).witnessed).toEqual([]);
    const reopen = (witnesses: { url: string; vkey: string }[]) =>
      openFileLedger({
        dir: DIR,
        system: 'shop',
        writerId: 'w',
        clock,
        disk,
        reserveBytes: 64,
        witnessPolicy: policyText(witnesses),
      });
    const ours = { url: witness.url, vkey: witness.vkey };
    const other = { url: 'http://127.0.0.1:9/', vkey: verifierKeyText(testSigner('w2.example', 4)) };
    for (const witnesses of [[ours], [ours], [other], [other], [], [other]]) {
      ledger = await reopen(witnesses);
      await ledger.close();
      expect((await verifyLedger(DIR, { disk })).witnessed).toMatchObject([{ name: 'w.example', size }]);
    }
    ledger = await reopen([other]);
    const declared = (await collect(ledger.read(0))).filter(({ type }) => type === 'ledger.witnesses-declared');
    expect(declared.map(({ data }) => String(data.witnessPolicy).match(/\S+\.example/g))).toEqual([
      ['w.example'],
      ['w.example', 'w2.example'],
      ['w.example', 'w2.example'],
      ['w.example', 'w2.example'],
    ]);
    expect(declared[2]!.data.witnessPolicy).toMatch(/quorum none\n$/);
  });

  it('a clock that is far from the witness is a finding', async () => {
    start(witness.url);
    await happen(1);
    const size = await anchors!.now();
    const drifts = async () =>
      (await verifyLedger(DIR, { disk })).warnings.filter(({ code }) => code === 'ledger/clock-drift');
    expect(await drifts()).toEqual([]);
    await ledger.append([
      { type: 'ledger.anchored', stream: 'ledger', data: { size: size!, root: '', cosigned_at: { 'w.example': 1 } } },
    ]);
    expect(await drifts()).toHaveLength(1);
  });

  it('a ledger restored from an older copy is refused by the witness although its own checkpoint fits', async () => {
    start(witness.url);
    await happen(1);
    await ledger.checkpoint();
    const old = disk.copy();
    await happen(2);
    const seen = await anchors!.now();
    const restored = await openFileLedger({
      dir: DIR,
      system: 'shop',
      writerId: 'w',
      clock,
      disk: old,
      reserveBytes: 64,
    });
    // It has written more than was lost before it asks.
    for (let n = 0; n < 20; n++) await restored.append([{ type: 'ledger.heartbeat', stream: 'ledger', data: { n } }]);
    const late = startAnchors({
      ledger: restored,
      clock,
      disk: old,
      witnesses: [{ url: witness.url, verifier: parseVerifierKey(witness.vkey) }],
      tsaUrl: null,
      onAlarm: (anchor, problem) => alarms.push([`${anchor}: ${problem}`, problem !== null]),
    });
    await late.now();
    expect(alarms.at(-1)![0]).toMatch(/has already cosigned/);
    expect(late.states()[0]).toMatchObject({ aheadSize: seen, problem: expect.stringContaining(String(seen)) });
    await late.close();
    await restored.close();
  });

  it('an answer that was lost does not make the witness look ahead', async () => {
    start(witness.url);
    await happen(1);
    await anchors!.now();
    const real = globalThis.fetch;
    // What it asks for is done, but it never learns of it.
    globalThis.fetch = async (...args) => {
      await real(...args);
      throw new TypeError('the connection broke');
    };
    try {
      await happen(2);
      await anchors!.now();
    } finally {
      globalThis.fetch = real;
    }
    await happen(1);
    expect(await anchors!.now()).not.toBeNull();
    expect(anchors!.states()[0]).toMatchObject({ aheadSize: null, problem: null });
  });
});

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}

it('a TSA that answers nonsense is an error with its own code', async () => {
  await expect(requestTimestamp('http://127.0.0.1:9/', Buffer.from('x'))).rejects.toMatchObject({
    code: 'ledger/timestamp-failed',
  });
});
