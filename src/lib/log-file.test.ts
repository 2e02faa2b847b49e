import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { appendToLog, boundLogs, keepLogsBounded, rotateLog } from './log-file.ts';
import { createVirtualClock } from './virtual-clock.ts';

const MIB = 1024 * 1024;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'davy-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string): string => join(folder, name);
const size = (name: string): number => statSync(file(name), { throwIfNoEntry: false })?.size ?? -1;

it('cuts what is over 10 MiB while a process goes on writing, and keeps it as the file before', () => {
  const writer = openSync(file('gateway.log'), 'a');
  writeSync(writer, 'first\n');
  truncateSync(file('gateway.log'), 10 * MIB + 1);
  writeFileSync(file('shop.v1.1.log'), 'small\n');
  writeFileSync(file('notes.txt'), Buffer.alloc(11 * MIB));
  boundLogs(folder);
  writeSync(writer, 'next\n');
  closeSync(writer);
  expect(readFileSync(file('gateway.log'), 'utf8')).toBe('next\n');
  expect(readFileSync(file('gateway.log.1'), 'utf8').startsWith('first\n')).toBe(true);
  expect([size('gateway.log.1'), size('shop.v1.1.log'), size('notes.txt')]).toEqual([10 * MIB + 1, 6, 11 * MIB]);
});

it('never keeps more than two files of each log, however much is written', async () => {
  const clock = createVirtualClock();
  const end = keepLogsBounded(folder, clock);
  const chunk = 'x'.repeat(4 * MIB);
  for (let times = 0; times < 12; times++) {
    appendToLog(file('controller-crash.log'), chunk);
    writeFileSync(file('controller.log'), chunk, { flag: 'a' });
    await clock.advance(5_000);
  }
  end();
  for (const name of ['controller.log', 'controller-crash.log']) {
    expect(size(name)).toBeLessThanOrEqual(14 * MIB);
    expect(size(`${name}.1`)).toBeGreaterThan(10 * MIB);
    expect(size(`${name}.1`)).toBeLessThanOrEqual(14 * MIB);
    expect(size(`${name}.2`)).toBe(-1);
  }
});

it('moves a large log out of the way before a process starts to write to it', () => {
  writeFileSync(file('a.log'), Buffer.alloc(10 * MIB + 1));
  rotateLog(file('a.log'));
  expect([size('a.log'), size('a.log.1')]).toEqual([-1, 10 * MIB + 1]);
});

it('has nothing to do in a folder that is not there', () => {
  expect(() => boundLogs(file('missing'))).not.toThrow();
});
