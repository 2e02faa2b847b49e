import { join } from 'node:path';
import { expect } from 'vitest';
import { davy, type Running } from './harness.ts';

/** Judges every release of this run again from the ledger: the same verdicts, the same evidence. Answers how many it saw. */
export async function expectReplaysToMatch(running: Running): Promise<number> {
  const { releases } = await running.fleet();
  let decisions = 0;
  for (const { id, service } of releases) {
    const spec = join(running.folder, 'davy.yaml');
    const args = ['replay', spec, '--service', service, '--data', running.dataDir, '--release', id, '-o', 'json'];
    const { code, stdout, stderr } = await davy(args);
    // A release that was over before its first look was recorded has nothing to replay.
    if (code === 2 && stderr.includes('no recorded looks')) continue;
    expect(code, `${id}: ${stdout}${stderr}`).toBe(0);
    decisions += (JSON.parse(stdout) as { decisions: unknown[] }).decisions.length;
  }
  return decisions;
}
