import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FileLedger, openFileLedger } from '../../src/ledger/file-ledger.ts';
import { openStoredProofs, type StoredProofs } from '../../src/ledger/stored-proof.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { ChainCheck, grewFrom, includes, leafHash, openCheckpoint } from '../../web/src/verify.ts';

/** The browser's own arithmetic, against what the ledger stores and proves. */
describe('the check that the page does itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'davy-page-verify-'));
  const heads: { size: number; root: string }[] = [];
  let ledger: FileLedger;
  let proofs: StoredProofs;

  beforeAll(async () => {
    const dir = join(folder, 'ledger');
    ledger = await openFileLedger({ dir, system: 'test', writerId: 'test', clock: systemClock, segmentRecords: 64 });
    proofs = openStoredProofs(ledger);
    for (let i = 0; i < 149; i++) {
      await ledger.append([{ type: 'test.happened', stream: 'test', data: { i, text: 'ünïcode "quoted"\n' } }]);
      heads.push(await openCheckpoint((await proofs.prove({ seq: null, fromSize: null })).checkpoint, ledger.vkey));
    }
  });
  afterAll(async () => {
    await ledger.close();
    rmSync(folder, { recursive: true });
  });

  it('accepts every record of the ledger, over segments and in parts', async () => {
    for (const limit of [1_000, 7, 64]) {
      const chain = new ChainCheck(0);
      for (let at = 0; at < 150; ) {
        const lines = await proofs.lines(at, limit);
        await chain.accept(lines);
        at += lines.length;
      }
      expect(chain.checked).toBe(150);
      expect(chain.findings).toEqual([]);
      expect(chain.tip).toBe(ledger.head().tip);
    }
  });

  it('names the record when any byte of any record but the last is another', async () => {
    const lines = await proofs.lines(0, 1_000);
    const place = fc
      .nat(lines.length - 2)
      .chain((seq) => fc.tuple(fc.constant(seq), fc.nat((lines[seq]?.length ?? 1) - 1)));
    await fc.assert(
      fc.asyncProperty(place, async ([seq, at]) => {
        const line = lines[seq] ?? '';
        const altered = `${line.slice(0, at)}${line[at] === 'x' ? 'y' : 'x'}${line.slice(at + 1)}`;
        const chain = new ChainCheck(0);
        await chain.accept(lines.with(seq, altered));
        expect(chain.findings.some((finding) => finding.seq === seq || finding.seq === seq - 1)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('accepts the path of every record, and of no other', async () => {
    const lines = await proofs.lines(0, 1_000);
    for (let seq = 0; seq < lines.length; seq += 7) {
      const { inclusion, checkpoint } = await proofs.prove({ seq, fromSize: null });
      const head = await openCheckpoint(checkpoint, ledger.vkey);
      const path = inclusion ?? [];
      const leaf = await leafHash(lines[seq] ?? '');
      expect(await includes(path, seq, head.size, leaf, head.root)).toBe(true);
      expect(await includes(path, seq, head.size, await leafHash(`${lines[seq]} `), head.root)).toBe(false);
      expect(await includes(path.slice(1), seq, head.size, leaf, head.root)).toBe(false);
    }
  });

  it('accepts that it grew from every size it had, and from no other root', async () => {
    for (const old of heads) {
      const { consistency, checkpoint } = await proofs.prove({ seq: null, fromSize: old.size });
      const head = await openCheckpoint(checkpoint, ledger.vkey);
      const path = consistency ?? [];
      expect(await grewFrom(path, old.size, head.size, old.root, head.root), `from ${old.size}`).toBe(true);
      expect(await grewFrom(path, old.size, head.size, 'ab'.repeat(32), head.root)).toBe(false);
    }
  });

  it('refuses a checkpoint of another key, and an altered one', async () => {
    const { checkpoint } = await proofs.prove({ seq: null, fromSize: null });
    await expect(openCheckpoint(checkpoint.replace('\n150\n', '\n151\n'), ledger.vkey)).rejects.toThrow(
      /no valid signature/,
    );
    await expect(openCheckpoint(checkpoint, 'nonsense')).rejects.toThrow(/not an Ed25519 key/);
  });
});
