import { request } from 'node:http';
import { messageOf } from '../lib/error.ts';
import type { ProbeResult } from './health.ts';

export interface ProbeTarget {
  host: string;
  port: number;
  path: string;
  timeoutMs: number;
}

/** One GET on a connection of its own, answered within `timeoutMs` from connecting to the response head. Never rejects. */
export function probeOnce(target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  const { host, port, path, timeoutMs } = target;
  return new Promise((resolve) => {
    const call = request({
      host,
      port,
      path,
      agent: false,
      headers: { 'user-agent': 'davy-health', connection: 'close' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    call.once('response', (response) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      if (status >= 200 && status < 400) resolve({ ok: true });
      else resolve({ ok: false, answered: true, says: `GET ${path} answered ${status}` });
    });
    call.on('error', (error) => resolve({ ok: false, answered: false, says: silence(error, path, timeoutMs) }));
    call.end();
  });
}

function silence(error: Error & { code?: string; cause?: unknown }, path: string, timeoutMs: number): string {
  if (error.name === 'AbortError') return `GET ${path} was not answered within ${timeoutMs} ms`;
  if (error.code === 'ECONNREFUSED') return 'nothing listens on its port';
  return `GET ${path} failed: ${messageOf(error)}`;
}
