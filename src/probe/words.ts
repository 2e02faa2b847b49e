import type { ProbeResult } from './probe.ts';

/** What the field `user-agent` of a probe says. */
export const USER_AGENT = 'davy-health';

export function failed(says: string, answered: boolean): ProbeResult {
  return { ok: false, answered, says };
}

/** 2xx and nothing else: a redirect may lead anywhere, and an instance that only redirects does not serve. */
export function judgeStatus(status: number, path: string): ProbeResult {
  return status >= 200 && status < 300 ? { ok: true } : failed(`GET ${path} answered ${status}`, true);
}

/** Why there was no answer. `what`: the question, as the subject of a sentence. */
export function silence(error: Error & { code?: string }, what: string, timeoutMs: number): ProbeResult {
  if (error.name === 'AbortError' || error.name === 'TimeoutError')
    return failed(`${what} was not answered within ${timeoutMs} ms`, false);
  if (error.code === 'ECONNREFUSED') return failed('nothing listens on its port', false);
  return failed(`${what} failed: ${error.message}`, false);
}
