import { limits } from '../limits.ts';
import { randomShare } from '../random.ts';

/**
 * From when on an upstream connection that is made now gets no more requests. The limit is varied by up to a quarter, so that connections
 * that were made at once are not all renewed at once.
 */
export function oldAtMs(nowMs: number): number {
  return nowMs + limits.upstreamAgeMs * (1 - randomShare() / 4);
}
