import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { keepCrash } from './controller-crash.ts';

it('keeps the stack and names the place; where nothing can be written the sentence is left', () => {
  const folder = mkdtempSync(join(tmpdir(), 'davy-crash-'));
  const clock = createVirtualClock();
  const file = join(folder, 'log', 'controller-crash.log');
  expect(keepCrash(new TypeError('x is not a function'), join(folder, 'log'), clock)).toContain(file);
  keepCrash('thrown as a text', join(folder, 'log'), clock);
  const text = readFileSync(file, 'utf8');
  expect(text).toMatch(/^2026-01-01T\S+ TypeError: x is not a function\n {4}at /);
  expect(text).toContain('thrown as a text');
  writeFileSync(join(folder, 'a-file'), '');
  expect(keepCrash(new Error('gone'), join(folder, 'a-file'), clock)).toBe('error: gone\n');
  rmSync(folder, { recursive: true });
});
