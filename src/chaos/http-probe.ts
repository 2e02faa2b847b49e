import { request } from 'undici';
import type { HttpProbeSpec } from '../spec/chaos-model.ts';

const longestMs = 10_000;

/** Asks once. Good: the expected status, whole answer within `underMs`. Never rejects. */
export async function askOnce(probe: HttpProbeSpec): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(probe.underMs ?? longestMs);
    const answer = await request(probe.url, { signal, headers: { 'user-agent': 'davy-probe' } });
    await answer.body.dump({ limit: 1024 * 1024, signal });
    const { statusCode } = answer;
    return probe.status === null ? statusCode >= 200 && statusCode < 400 : statusCode === probe.status;
  } catch {
    // Refused, reset or too late: all the same to somebody who waits for the answer.
    return false;
  }
}
