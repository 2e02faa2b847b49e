import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessIdentity } from '../lib/process.ts';

/** What a controller leaves behind about an instance so that the next one can adopt it. */
export interface InstanceRecord {
  id: string;
  /** Stands in the process's environment as DAVY_INSTANCE_TOKEN; finds a process whose identity was not written in time. */
  token: string;
  /** Null between the decision to start and the started process. */
  identity: ProcessIdentity | null;
  port: number;
  configHash: string;
  startedAtMs: number;
  restarts: number;
}

/** One small JSON file per instance, replaced atomically. Losing one costs an orphan, never a wrong process. */
export interface InstanceRecords {
  read(id: string): InstanceRecord | null;
  write(record: InstanceRecord): void;
  remove(id: string): void;
  all(): InstanceRecord[];
}

export function openInstanceRecords(folder: string): InstanceRecords {
  mkdirSync(folder, { recursive: true });
  const pathOf = (id: string): string => join(folder, `${encodeURIComponent(id)}.json`);
  return {
    read: (id) => readRecord(pathOf(id)),
    write(record) {
      const path = pathOf(record.id);
      writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    },
    remove: (id) => rmSync(pathOf(id), { force: true }),
    all: () =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.json'))
        .map((name) => readRecord(join(folder, name)))
        .filter((record) => record !== null),
  };
}

function readRecord(path: string): InstanceRecord | null {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isRecord(parsed) ? parsed : null;
  } catch {
    // Absent, or cut by a crash of the machine: then nothing it described runs any more.
    return null;
  }
}

function isRecord(value: unknown): value is InstanceRecord {
  const record = value as InstanceRecord | null;
  return (
    typeof record?.id === 'string' &&
    typeof record.token === 'string' &&
    typeof record.configHash === 'string' &&
    Number.isInteger(record.port) &&
    Number.isFinite(record.startedAtMs) &&
    Number.isInteger(record.restarts) &&
    (record.identity === null ||
      (Number.isInteger(record.identity?.pid) && typeof record.identity.startTime === 'string'))
  );
}

/** Equal for equal commands: an instance is adopted only when it runs what the spec declares now. */
export function configHash(argv: readonly string[], env: Record<string, string>, folder: string): string {
  const entries = Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([argv, entries, folder]))
    .digest('hex');
}
