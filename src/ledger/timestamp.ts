import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DavyError, messageOf } from '../lib/error.ts';
import { ledgerErrors } from './errors.ts';
import { networkProblem } from './witness-client.ts';

const OPENSSL_TIMEOUT_MS = 10_000;
const TSA_TIMEOUT_MS = 10_000;
const MAX_REPLY_BYTES = 256 * 1024;

function failed(why: string, cause?: unknown): never {
  throw new DavyError(ledgerErrors['timestamp-failed'], `${why}.`, { cause });
}

/** Runs openssl without a shell; resolves with its standard output. */
function openssl(args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: OPENSSL_TIMEOUT_MS });
    let out = '';
    let err = '';
    child.stdout.on('data', (part: Buffer) => {
      out += part.toString('utf8');
    });
    child.stderr.on('data', (part: Buffer) => {
      err += part.toString('utf8').slice(0, 2_000);
    });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve(out) : reject(new Error(complaintIn(err) || `exit ${code}`))));
  });
}

/** The first line that says what is wrong; openssl begins with which configuration it read. */
function complaintIn(stderr: string): string {
  const lines = stderr.trim().split('\n');
  return lines.find((line) => !line.startsWith('Using configuration from')) ?? '';
}

async function inScratch<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'davy-ts-'));
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Gets an RFC 3161 timestamp on the bytes of a checkpoint from a TSA; only a hash leaves the machine. Resolves with the
 * DER answer (`application/timestamp-reply`). Rejects with `ledger/timestamp-failed`.
 */
export async function requestTimestamp(tsaUrl: string, data: Buffer): Promise<Buffer> {
  return inScratch(async (dir) => {
    const query = join(dir, 'query.tsq');
    await writeFile(join(dir, 'data'), data);
    try {
      await openssl(['ts', '-query', '-data', join(dir, 'data'), '-sha256', '-cert', '-out', query]);
      const response = await fetch(tsaUrl, {
        method: 'POST',
        body: await readFile(query),
        headers: { 'content-type': 'application/timestamp-query' },
        redirect: 'error',
        signal: AbortSignal.timeout(TSA_TIMEOUT_MS),
      });
      const reply = Buffer.from(await response.arrayBuffer());
      if (!response.ok || reply.length > MAX_REPLY_BYTES) return failed(`The TSA answered ${response.status}`);
      await writeFile(join(dir, 'reply.tsr'), reply);
      const text = await openssl(['ts', '-reply', '-in', join(dir, 'reply.tsr'), '-text']);
      if (!/Status: Granted/i.test(text)) return failed('The TSA did not grant the timestamp');
      return reply;
    } catch (error) {
      if (error instanceof DavyError) throw error;
      return failed(`No timestamp from ${new URL(tsaUrl).origin}: ${networkProblem(error)}`, error);
    }
  });
}

/** The time that a timestamp states (ms since the epoch), unchecked. Rejects with `ledger/timestamp-failed`. */
export async function timestampedAt(reply: Buffer): Promise<number> {
  return inScratch(async (dir) => {
    await writeFile(join(dir, 'reply.tsr'), reply);
    try {
      return await statedTime(dir);
    } catch (error) {
      if (error instanceof DavyError) throw error;
      return failed(`The timestamp cannot be read: ${messageOf(error)}`, error);
    }
  });
}

async function statedTime(dir: string): Promise<number> {
  const text = await openssl(['ts', '-reply', '-in', join(dir, 'reply.tsr'), '-text']);
  const ms = Date.parse(/^Time stamp: (.+)$/m.exec(text)?.[1] ?? '');
  return Number.isNaN(ms) ? failed('The timestamp states no time') : ms;
}

/** Checks a timestamp against the TSA's CA; resolves with the time it states (ms). Rejects with `ledger/timestamp-failed`. */
export async function verifyTimestamp(reply: Buffer, data: Buffer, caPem: string): Promise<number> {
  return inScratch(async (dir) => {
    await writeFile(join(dir, 'data'), data);
    await writeFile(join(dir, 'reply.tsr'), reply);
    await writeFile(join(dir, 'ca.pem'), caPem);
    try {
      await openssl([
        'ts',
        '-verify',
        '-data',
        join(dir, 'data'),
        '-in',
        join(dir, 'reply.tsr'),
        '-CAfile',
        join(dir, 'ca.pem'),
      ]);
      return await statedTime(dir);
    } catch (error) {
      if (error instanceof DavyError) throw error;
      return failed(`The timestamp does not verify: ${messageOf(error)}`, error);
    }
  });
}
