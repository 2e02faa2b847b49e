import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Clock } from './clock.ts';

/** A log file keeps at most this much, and the file before it, `<file>.1`, as much again. */
const maxBytes = 10 * 1024 * 1024;
/** How often running logs are looked at; what is written in between comes on top. */
const CHECK_EVERY_MS = 5_000;

/** Moves a log that has grown past 10 MiB to `<file>.1`, before a process starts to write to it. */
export function rotateLog(file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  if (sizeOf(file) > maxBytes) renameSync(file, `${file}.1`);
}

/** Appends to a log that nobody holds open, after making room for it. */
export function appendToLog(file: string, text: string): void {
  rotateLog(file);
  appendFileSync(file, text, { mode: 0o600 });
}

/**
 * Bounds every log in a folder, also while processes write: their descriptors stay valid, so the bytes are copied and
 * the file is cut. Descriptors are opened for appending, so writing goes on at the new end; lines written between copy
 * and cut are lost. What cannot be copied (the disk is full) is cut all the same.
 */
export function boundLogs(folder: string): void {
  for (const name of logsIn(folder)) {
    const file = join(folder, name);
    if (sizeOf(file) <= maxBytes) continue;
    try {
      copyFileSync(file, `${file}.1`);
    } catch {
      rmSync(`${file}.1`, { force: true });
    }
    truncateSync(file);
  }
}

/** Keeps a folder's logs bounded from now on. Returns the function that ends it. */
export function keepLogsBounded(folder: string, clock: Clock): () => void {
  let cancel = (): void => {};
  const check = (): void => {
    boundLogs(folder);
    cancel = clock.after(CHECK_EVERY_MS, check, true);
  };
  check();
  return () => cancel();
}

function logsIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.log'));
  } catch {
    return [];
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
