import { backOffMs } from '../lib/back-off.ts';

/** Between two starts of the controller. */
const START_AGAIN = { firstMs: 200, longestMs: 10_000 };
/** This many deaths in a row before the API was ready are no accident any more, where nothing runs that needs a controller. */
const MAX_FAILED_STARTS = 5;

/** How a controller ended. */
export interface Ended {
  /** Null when it was killed. */
  code: number | null;
  /** Its API had answered. */
  wasReady: boolean;
  /** What it said went wrong; null when it could not say. `known`: a refusal that stays one until somebody mends it. */
  failure: { known: boolean; text: string } | null;
}

/** What a supervisor remembers of the controllers that it has started. */
export interface Supervised {
  /** One of them was ready: since then there is a system that needs a controller. */
  everReady: boolean;
  failedStarts: number;
  /** The failure that was said last; null since a controller was ready. */
  told: string | null;
}

export const nothingSupervised: Supervised = { everReady: false, failedStarts: 0, told: null };

export type Next =
  | { kind: 'again'; state: Supervised; waitMs: number; says: string | null }
  | { kind: 'end'; code: number; says: string | null }
  | { kind: 'give-up'; failedStarts: number };

/**
 * What comes after a controller's end. While something runs, or has run under this supervisor, it goes on trying for ever,
 * ever more rarely, and says each reason once; a first start that fails where nothing runs is the answer to whoever asked for it.
 */
export function afterEnd(before: Supervised, ended: Ended, somethingRuns: boolean): Next {
  const { code, wasReady, failure } = ended;
  if (code === 0 && failure === null) return { kind: 'end', code, says: null };
  const how = code === null ? 'killed' : `exit ${code}`;
  if (wasReady) {
    const says = `${failure?.text ?? ''}the controller died (${how}); traffic goes on, starting it again …\n`;
    const state = { everReady: true, failedStarts: 0, told: null };
    return { kind: 'again', state, waitMs: START_AGAIN.firstMs, says };
  }
  const failedStarts = before.failedStarts + 1;
  const waitMs = backOffMs(failedStarts, START_AGAIN);
  const text = failure?.text ?? `the controller ended before it was ready (${how})\n`;
  if (before.everReady || somethingRuns) {
    const says = text === before.told ? null : `${text}${GOES_ON}`;
    return { kind: 'again', state: { ...before, failedStarts, told: text }, waitMs, says };
  }
  if (failure?.known) return { kind: 'end', code: code ?? 1, says: text };
  if (failedStarts >= MAX_FAILED_STARTS) return { kind: 'give-up', failedStarts };
  const says = text === before.told ? null : `${text}starting it again …\n`;
  return { kind: 'again', state: { ...before, failedStarts, told: text }, waitMs, says };
}

const GOES_ON = `  what runs goes on without a controller, a canary's share ends by itself; trying again at least every ${
  START_AGAIN.longestMs / 1000
} s\n`;
