import { join } from 'node:path';
import { expect } from 'vitest';
import { readFolder } from '../../src/ledger/reader.ts';
import { davy, type Running } from './harness.ts';

/** Judges every release of this run again from the ledger: the same verdicts, the same evidence. Answers how many it saw. */
export async function expectReplaysToMatch({ folder, dataDir }: Pick<Running, 'folder' | 'dataDir'>): Promise<number> {
  let decisions = 0;
  for (const { release, service } of await requested(join(dataDir, 'ledger'))) {
    const spec = join(folder, 'davy.yaml');
    const args = ['replay', spec, '--service', service, '--data', dataDir, '--release', release, '-o', 'json'];
    const { code, stdout, stderr } = await davy(args);
    // A release that was over before its first look was recorded has nothing to replay.
    if (code === 2 && stderr.includes('no recorded looks')) continue;
    expect(code, `${release}: ${stdout}${stderr}`).toBe(0);
    decisions += (JSON.parse(stdout) as { decisions: unknown[] }).decisions.length;
  }
  return decisions;
}

async function requested(ledgerDir: string): Promise<{ release: string; service: string }[]> {
  const found: { release: string; service: string }[] = [];
  for await (const { record } of readFolder(ledgerDir)) {
    const { release, service } = record.data;
    if (record.type === 'release.requested') found.push({ release: String(release), service: String(service) });
  }
  return found;
}
