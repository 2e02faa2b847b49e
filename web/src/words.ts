import type { ReleaseDoc } from '../../src/server/schemas.ts';
import { duration, weight } from './format.ts';
import type { Tone } from './parts.tsx';

/** What a release is doing, in a word, and whether somebody should look. */

export type Group = 'needs-you' | 'in-flight' | 'completed' | 'rolled-back' | 'cancelled';

export const GROUPS: { id: Group; label: string; tone: Tone }[] = [
  { id: 'needs-you', label: 'needs you', tone: 'warn' },
  { id: 'in-flight', label: 'in flight', tone: 'live' },
  { id: 'completed', label: 'completed', tone: 'good' },
  { id: 'rolled-back', label: 'rolled back', tone: 'bad' },
  { id: 'cancelled', label: 'cancelled', tone: 'quiet' },
];

export function isInFlight(release: ReleaseDoc): boolean {
  return release.endedAtMs === null;
}

/** A release needs a person when the machine waits: held, paused, or rolled back without measured zero. */
export function groupOf(release: ReleaseDoc): Group {
  if (isInFlight(release)) return release.held || release.paused ? 'needs-you' : 'in-flight';
  if (release.phase === 'rolled-back') return release.zeroConfirmed ? 'rolled-back' : 'needs-you';
  return release.phase === 'completed' ? 'completed' : 'cancelled';
}

export function stateOf(release: ReleaseDoc): { word: string; tone: Tone } {
  if (release.paused) return { word: 'paused', tone: 'warn' };
  if (release.held) return { word: 'held', tone: 'warn' };
  if (release.phase === 'completed') return { word: 'completed', tone: 'good' };
  if (release.phase === 'rolled-back')
    return { word: release.zeroConfirmed ? 'rolled back' : 'rolling back', tone: 'bad' };
  if (release.phase === 'cancelled') return { word: 'cancelled', tone: 'quiet' };
  if (release.phase === 'requested') return { word: 'starting', tone: 'live' };
  return { word: release.phase === 'watching' ? 'watching' : 'progressing', tone: 'live' };
}

export function verdictTone(verdict: ReleaseDoc['verdict']): Tone {
  return ({ PASS: 'good', FAIL: 'bad', INCONCLUSIVE: 'quiet', ERROR: 'warn' } as const)[verdict];
}

/** Time still to hold at this step, ms; null when nothing is held. */
export function remainingMs(release: ReleaseDoc): number | null {
  const step = release.steps[release.step];
  return !isInFlight(release) || !step ? null : Math.max(0, step.holdMs - release.heldMs);
}

export function nextChange(release: ReleaseDoc): string {
  const next = release.steps[release.step + 1];
  const remaining = remainingMs(release);
  if (!isInFlight(release)) return '';
  if (release.phase === 'requested') return 'waits for its instances';
  if (release.paused) return 'paused by a person';
  if (release.held) return 'held until the cause ends';
  const what = next ? `→ ${weight(next.weightBp)}` : '→ completed';
  if (remaining !== null && remaining > 0) return `${what} in ${duration(remaining)} if healthy`;
  return `${what} when the evidence suffices`;
}

export interface Action {
  verb: 'pause' | 'resume' | 'promote' | 'rollback';
  /** The consequence, not the verb: what the button says. */
  says: string;
  /** What changes, exactly. */
  change: string;
  /** Why it cannot be done now; null when it can. */
  disabled: string | null;
  dangerous: boolean;
  body?: { full: boolean };
}

export function actionsOf(release: ReleaseDoc): Action[] {
  const live = isInFlight(release);
  const ended = live ? null : `it has ended: ${stateOf(release).word}`;
  const now = weight(release.weightBp);
  const next = release.steps[release.step + 1];
  const atEnd = release.phase === 'watching';
  const last = weight(release.steps.at(-1)?.weightBp ?? 10_000);
  const canUndo = live || release.phase === 'completed';
  return [
    {
      verb: 'promote',
      says: next ? `Send ${now} → ${weight(next.weightBp)}` : 'Complete',
      change: next
        ? `${release.version} gets ${weight(next.weightBp)} of ${release.service}'s traffic instead of ${now}, ahead of the evidence.`
        : `${release.version} becomes the stable version before its watch is over.`,
      disabled: ended ?? (release.phase === 'requested' ? 'its instances are not ready' : null),
      dangerous: true,
    },
    {
      verb: 'promote',
      says: `Send ${last} at once`,
      change: `${release.version} gets ${last} of ${release.service}'s traffic instead of ${now}; the steps between are left out.`,
      disabled:
        ended ??
        (release.phase === 'requested' ? 'its instances are not ready' : atEnd ? `it has ${last} already` : null),
      dangerous: true,
      body: { full: true },
    },
    release.paused
      ? {
          verb: 'resume',
          says: 'Resume',
          change: `The next step follows by itself again; the weight stays at ${now} until then.`,
          disabled: ended,
          dangerous: false,
        }
      : {
          verb: 'pause',
          says: `Stay at ${now}`,
          change: `The weight stays at ${now} until somebody resumes; harm is still looked for and still rolls back.`,
          disabled: ended,
          dangerous: false,
        },
    {
      verb: 'rollback',
      says: live ? `Send ${now} → 0 %` : `Return to ${release.from}`,
      change: `All of ${release.service}'s traffic goes to ${release.from}, at once and whatever the evidence says.`,
      disabled: canUndo ? null : ended,
      dangerous: true,
    },
  ];
}
