import { computed, signal } from '@preact/signals';
import type { LedgerRecord } from '../../src/ledger/record.ts';
import type { PastDoc } from '../../src/server/routes/history.ts';
import type { FleetDoc } from '../../src/server/schemas.ts';
import { ApiError, get, type Problem, problemOf } from './api.ts';

/** Live state: one poll for what is measured, one event stream for what happens, and how old both are. */
export const fleet = signal<FleetDoc | null>(null);
export const loggedIn = signal<boolean | null>(null);
export const fleetProblem = signal<Problem | null>(null);
/** Clock of the page: a tick per second. */
export const nowMs = signal(Date.now());
export const receivedAtMs = signal<number | null>(null);
/** When the connection was lost; null while it stands. */
export const lostAtMs = signal<number | null>(null);
/** Records that came over the stream since the page was opened. */
export const arrived = signal(0);
/** Looking back: the fleet as it was before this record; null is now. */
export const past = signal<PastDoc | null>(null);
/** Releases now, or as they were. */
export const releases = computed(() => past.value?.releases ?? fleet.value?.releases ?? []);

const POLL_MS = 2_000;
const SOON_MS = 150;
let timer: ReturnType<typeof setTimeout> | undefined;
let stream: EventSource | null = null;
let lastSeq = -1;
let fetching = false;
let again = false;

export async function refresh(): Promise<void> {
  if (fetching) {
    again = true;
    return;
  }
  fetching = true;
  try {
    const document = await get<FleetDoc>('/api/v1/fleet');
    fleet.value = document;
    receivedAtMs.value = Date.now();
    fleetProblem.value = null;
    lostAtMs.value = null;
    loggedIn.value = true;
    openStream();
  } catch (error) {
    failed(error);
  } finally {
    fetching = false;
    schedule(again ? SOON_MS : POLL_MS);
    again = false;
  }
}

function failed(error: unknown): void {
  fleetProblem.value = problemOf(error);
  if (error instanceof ApiError && error.status === 401) {
    loggedIn.value = false;
    closeStream();
    return;
  }
  lostAtMs.value ??= Date.now();
}

function schedule(delayMs: number): void {
  clearTimeout(timer);
  // Hidden pages rest; what happened meanwhile is fetched when they are seen again.
  if (!document.hidden && loggedIn.value !== false) timer = setTimeout(refresh, delayMs);
}

/** EventSource resumes by Last-Event-ID itself; a stream that we closed resumes after the last seq that was seen. */
function openStream(): void {
  if (stream || document.hidden) return;
  stream = new EventSource(lastSeq < 0 ? '/api/v1/events' : `/api/v1/events?after=${lastSeq}`);
  for (const type of STREAMED) stream.addEventListener(type, onEvent);
  // The session is over: the next call is refused, and the page asks for the token.
  stream.addEventListener('stream.ended', () => {
    closeStream();
    schedule(0);
  });
  stream.onerror = () => {
    if (stream?.readyState === EventSource.CLOSED) closeStream();
    schedule(SOON_MS);
  };
}

/** Types that are named as events; others are seen with the next poll. */
const STREAMED = [
  'service.declared',
  'release.requested',
  'release.step.decided',
  'release.observed',
  'release.held',
  'release.hold.cleared',
  'release.paused',
  'release.resumed',
  'release.instance.suspected',
  'release.instance.replaced',
  'release.instance.removed',
  'release.instance.kept',
  'release.rollback.decided',
  'release.rolledback',
  'release.drained',
  'release.cancelled',
  'release.completed',
  'traffic.intended',
  'traffic.applied',
  'traffic.drift.detected',
  'chaos.planned',
  'chaos.armed',
  'chaos.injected',
  'chaos.stop.requested',
  'chaos.reverting',
  'chaos.reverted',
  'chaos.dirty',
  'chaos.cleared',
  'chaos.concluded',
  'chaos.slot.considered',
];

function onEvent(event: MessageEvent<string>): void {
  const record = JSON.parse(event.data) as LedgerRecord;
  lastSeq = Math.max(lastSeq, record.seq);
  arrived.value++;
  schedule(SOON_MS);
}

function closeStream(): void {
  stream?.close();
  stream = null;
}

export function start(): void {
  setInterval(() => {
    nowMs.value = Date.now();
  }, 1_000);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      clearTimeout(timer);
      closeStream();
    } else refresh();
  });
  refresh();
}

export async function lookBack(beforeSeq: number | null): Promise<void> {
  past.value = beforeSeq === null ? null : await get<PastDoc>(`/api/v1/past?beforeSeq=${beforeSeq}`);
}
