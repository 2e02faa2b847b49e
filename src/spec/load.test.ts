import { createHash } from 'node:crypto';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadSpec } from './load.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'davy-spec-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function written(name: string, bytes: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

describe('loadSpec', () => {
  it('reads a file and names the SHA-256 of its bytes', async () => {
    const path = 'test/golden/spec/valid-crlf-and-bom.yaml';
    const { spec } = await loadSpec(path);
    const sha256 = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    expect(spec.source).toEqual({ file: path, sha256 });
  });

  it('refuses 50 MB after reading 1 MiB of it', async () => {
    const path = await written('large.yaml', 'davy: 1\n');
    await using file = await open(path, 'r+');
    await file.truncate(50_000_000);
    await expect(loadSpec(path)).rejects.toMatchObject({
      code: 'spec/too-large',
      message: expect.stringContaining('1,048,576'),
    });
  });

  it('refuses a file without an end', async () => {
    await expect(loadSpec('/dev/zero')).rejects.toMatchObject({ code: 'spec/too-large' });
  });

  it.each([
    ['a missing file', 'absent.yaml'],
    ['a folder', ''],
  ])('refuses %s', async (_, name) => {
    const path = join(folder, name);
    await expect(loadSpec(path)).rejects.toMatchObject({ code: 'spec/unreadable', position: { file: path } });
  });

  it.each<[string, number[], { line: number; column: number }]>([
    ['a Latin-1 letter', [0x61, 0x0a, 0xe4, 0x62, 0xf6], { line: 2, column: 1 }],
    ['half a character at the end', [0x61, 0x0a, 0x62, 0xc3], { line: 2, column: 2 }],
    ['a bad byte behind a written U+FFFD', [0xef, 0xbf, 0xbd, 0xff], { line: 1, column: 2 }],
    ['UTF-16', [0xff, 0xfe, 0x61, 0x00], { line: 1, column: 1 }],
  ])('places %s', async (_, bytes, place) => {
    const path = await written('bytes.yaml', Uint8Array.from(bytes));
    await expect(loadSpec(path)).rejects.toMatchObject({ code: 'spec/not-utf8', position: { file: path, ...place } });
  });
});
