import { request } from 'undici';
import { sleep } from '../lib/clock.ts';
import { type Load, startLoad, steadyPlan } from '../load/start-load.ts';
import type { ReleaseDoc } from '../server/schemas.ts';
import type { VerifyContext } from './scenario.ts';

const pollMs = 250;

/** Runs `during` under steady load on the entry of the system; resolves with both results. */
export async function underLoad<T>(
  context: VerifyContext,
  during: (load: Load) => Promise<T>,
  ratePerSecond = context.ratePerSecond,
) {
  const load = startLoad(steadyPlan({ url: `http://127.0.0.1:${context.entryPort}/`, ratePerSecond }));
  try {
    const value = await during(load);
    return { value, load: await load.stop() };
  } catch (error) {
    await load.stop().catch(() => {});
    throw error;
  }
}

export function requestRelease(context: VerifyContext, version: string, reason: string): Promise<ReleaseDoc> {
  const body = { service: context.service.name, version, reason: `verification: ${reason}` };
  return context.api.post<ReleaseDoc>('/api/v1/releases', body);
}

export function readRelease(context: VerifyContext, id: string): Promise<ReleaseDoc> {
  return context.api.get<ReleaseDoc>(`/api/v1/releases/${id}`);
}

/** Polls a release until the condition holds; null when it did not within `withinMs`. */
export async function awaitRelease(
  context: VerifyContext,
  id: string,
  condition: (release: ReleaseDoc) => boolean,
  withinMs: number,
): Promise<ReleaseDoc | null> {
  const { clock } = context;
  const deadlineMs = clock.monoMs() + withinMs;
  while (clock.monoMs() < deadlineMs) {
    const release = await readRelease(context, id);
    if (condition(release)) return release;
    await sleep(clock, pollMs);
  }
  return null;
}

/** Ends a release that a scenario started, and waits until nothing reaches it any more. */
export async function endRelease(context: VerifyContext, id: string): Promise<void> {
  const release = await readRelease(context, id);
  if (release.endedAtMs === null) {
    await context.api.post(`/api/v1/releases/${id}/rollback`, { reason: 'verification: end of the scenario' });
  }
  await awaitRelease(context, id, (now) => now.endedAtMs !== null && now.zeroConfirmed, 20_000);
}

/** Which version answers on a service's port, if its answers say so (`x-version`, or `version` in a JSON body). */
export async function answeringVersion(port: number, headers: Record<string, string>): Promise<string | null> {
  const answer = await request(`http://127.0.0.1:${port}/`, { headers, headersTimeout: 10_000, bodyTimeout: 10_000 });
  const header = answer.headers['x-version'];
  const text = await answer.body.text();
  if (typeof header === 'string') return header;
  try {
    const { version } = JSON.parse(text) as { version?: unknown };
    return typeof version === 'string' ? version : null;
  } catch {
    return null;
  }
}
