import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tellingLine } from './telling-line.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'davy-log-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

it.each([
  ['the last line that names an error', 'ok\nError: no port\nbye\n', 'Error: no port'],
  ['else the last line', 'one\ntwo\n\n', 'two'],
  ['without colours', '\u001b[31mfatal:\u001b[0m no\u001b[2Kport\n', 'fatal: noport'],
  ['with nothing that acts on a terminal', 'error \u009b2J\u202e\u200b\u0007x\n', 'error ·2J···x'],
  ['in whole characters', `error ${'x'.repeat(293)}😀\n`, `error ${'x'.repeat(293)}`],
])('is %s', (_, log, line) => {
  const file = join(folder, 'log');
  writeFileSync(file, log);
  expect(tellingLine(file)).toBe(line);
});

it('is none where there is no log', () => {
  expect(tellingLine(join(folder, 'none'))).toBeNull();
});
