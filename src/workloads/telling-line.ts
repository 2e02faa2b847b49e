import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { clip, oneLine } from '../lib/outside-text/visible.ts';

const tailBytes = 8 * 1024;
const lineMax = 300;

/** The line of the log's end that most likely says what went wrong: the last that names an error, else the last. */
export function tellingLine(file: string): string | null {
  const lines = readTail(file)
    .split('\n')
    .map(plain)
    .filter((line) => line !== '');
  const named = lines.findLast((line) => /error|exception|fatal|panic|cannot|failed/i.test(line));
  const line = named ?? lines.at(-1);
  return line === undefined ? null : clip(line, lineMax);
}

function readTail(file: string): string {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return '';
  }
  try {
    const size = fstatSync(fd).size;
    const buffer = Buffer.alloc(Math.min(tailBytes, size));
    readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8');
  } finally {
    closeSync(fd);
  }
}

/** Without the colours of a service's own terminal. */
function plain(line: string): string {
  return oneLine(line.replace(/\p{Cc}\[[0-9;]*[A-Za-z]/gu, ''));
}
