import {
  closeSync,
  copyFileSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { dirname } from 'node:path';

const maxBytes = 10 * 1024 * 1024;
const tailBytes = 8 * 1024;
const lineMax = 300;

/** Moves a log that has grown past 10 MiB to `<file>.1`, before a process starts to write to it. */
export function rotateLog(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  if (sizeOf(file) > maxBytes) renameSync(file, `${file}.1`);
}

/**
 * The same while a process writes: its descriptor stays valid, so the bytes are copied and the file is cut. Descriptors
 * are opened for appending, so writing goes on at the new end; lines written between copy and cut are lost.
 */
export function boundLog(file: string): void {
  if (sizeOf(file) <= maxBytes) return;
  copyFileSync(file, `${file}.1`);
  truncateSync(file);
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** The line of the log's end that most likely says what went wrong: the last that names an error, else the last. */
export function tellingLine(file: string): string | null {
  const lines = readTail(file)
    .split('\n')
    .map(plain)
    .filter((line) => line !== '');
  const named = lines.findLast((line) => /error|exception|fatal|panic|cannot|failed/i.test(line));
  const line = named ?? lines.at(-1);
  return line === undefined ? null : line.slice(0, lineMax);
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

/** Terminal escapes and control characters must not reach a terminal or a record through a service's log. */
function plain(line: string): string {
  return line
    .replace(/\p{Cc}\[[0-9;]*[A-Za-z]/gu, '')
    .replace(/\p{Cc}/gu, ' ')
    .trim();
}
