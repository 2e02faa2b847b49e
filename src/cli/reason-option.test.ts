import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from './program.ts';
import { recordingIo } from './recording-io.fixture.ts';

describe('a reason on the command line', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'davy-reason-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function said(argv: string[]): Promise<{ code: number; said: string }> {
    const { io, got } = recordingIo(folder);
    return { code: await runCli(argv, io), said: got.said };
  }

  const commands = [
    ...['release shop v2', 'pause x', 'resume x', 'promote x', 'rollback x', 'continue', 'gateway restart'],
    ...['chaos run x', 'chaos stop x', 'chaos clear x', 'evidence rotate-key', 'evidence conceal x y'],
    'evidence continue --system x',
  ];
  it.each(commands)('of davy %s must be given, and is more than what nobody sees', async (command) => {
    const words = command.split(' ');
    expect(await said(words)).toMatchObject({ code: 2, said: expect.stringContaining('--reason') });
    for (const reason of ['', '  ', '\u200b\u3164', '\n\t']) {
      const answer = await said([...words, '--reason', reason]);
      expect(answer).toMatchObject({ code: 2, said: expect.stringContaining('[lib/blank-reason]') });
    }
  });

  it('holds for the legal ground of an erasure, and for a reason that need not be given', async () => {
    for (const more of [
      ['--basis', ' '],
      ['--basis', 'Art. 17', '--reason', '\u2060'],
    ]) {
      const answer = await said(['evidence', 'erase', 'x', ...more]);
      expect(answer).toMatchObject({ code: 2, said: expect.stringContaining('[lib/blank-reason]') });
    }
  });
});
