import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fileLineChunks } from './file-lines.ts';

let home = '';
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'davy-lines-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

it('yields every whole line once, whatever the size of the chunks, and not what follows the last', async () => {
  const path = join(home, 'lines');
  const line = fc.string({ maxLength: 30, unit: fc.constantFrom('a', 'b', 'ü') });
  await fc.assert(
    fc.asyncProperty(fc.array(line), line, fc.integer({ min: 1, max: 200 }), async (lines, rest, chunkBytes) => {
      const whole = lines.map((text) => `${text}\n`).join('');
      await writeFile(path, whole + rest);
      const chunks: Buffer[] = [];
      for (const bytes of fileLineChunks(path, chunkBytes)) {
        chunks.push(Buffer.from(bytes));
        // The walk overwrites the ends of the lines that it has seen.
        bytes.fill(0);
      }
      expect(Buffer.concat(chunks).toString()).toBe(whole);
      expect(chunks.every((bytes) => bytes.at(-1) === 10)).toBe(true);
    }),
    { numRuns: 200 },
  );
});
