import type { Judge, Look } from '../analysis/judge.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/error.ts';
import { own } from '../lib/own.ts';
import { tickBetween } from '../metrics/delta.ts';
import type { CounterSnapshot, MetricsSource } from '../metrics/source.ts';
import { decideLook } from './decide.ts';
import type { ReleaseEvent } from './events.ts';
import type { FleetState, ReleaseState } from './state.ts';
import type { ReleaseStore } from './store.ts';
import type { TrafficLane } from './traffic-lane.ts';

export interface LookLaneParts {
  store: ReleaseStore;
  metrics: MetricsSource;
  lane: TrafficLane;
  judge: Judge;
  clock: Clock;
  /** Age of an instance in ms, null when unknown. */
  ageMs: (instance: string) => number | null;
  /** Whether a weight may be raised now; a raise that may not is decided again at the next look. */
  mayRaise: () => boolean;
  /** Effects of decisions that are not traffic: replacing an instance. */
  act: (events: ReleaseEvent[]) => Promise<void>;
}

/** Per release: when it was looked at last, and the reading that the next tick starts from. */
interface Cursor {
  step: number;
  lookedAtMs: number;
  baseline: CounterSnapshot | null;
}

/** The fast brake: one reading per due look, one decision per release. */
export interface LookLane {
  /** Looks at every release that is due. Never overlaps with itself. */
  lookDue(): Promise<void>;
  /** Looks at one release now, whether due or not. */
  lookNow(release: string): Promise<void>;
  /** The weights in force changed: counting starts here. */
  rebase(): Promise<void>;
}

export function createLookLane(parts: LookLaneParts): LookLane {
  const { store, clock, lane, judge } = parts;
  const cursors = new Map<string, Cursor>();
  let busy: Promise<void> = Promise.resolve();

  async function read(): Promise<{ snapshot: CounterSnapshot | null; problem: string }> {
    try {
      return { snapshot: await parts.metrics.read(), problem: '' };
    } catch (error) {
      return { snapshot: null, problem: `the metrics cannot be read: ${messageOf(error)}` };
    }
  }

  function cursorOf(release: ReleaseState): Cursor {
    let cursor = cursors.get(release.id);
    if (!cursor) {
      const now = clock.monoMs();
      cursor = { step: release.step, lookedAtMs: now, baseline: null };
      cursors.set(release.id, cursor);
    }
    return cursor;
  }

  /** A reading counts for the look only when the decided weight was in force for the whole interval. */
  function lookFrom(release: ReleaseState, cursor: Cursor, reading: Awaited<ReturnType<typeof read>>): Look {
    const now = clock.monoMs();
    const look = { dtMs: now - cursor.lookedAtMs, stepIndex: release.step, weightBp: release.weightBp };
    cursor.lookedAtMs = now;
    if (!lane.inForce()) {
      cursor.baseline = null;
      return { ...look, tick: null, problem: lane.problem() ?? 'the decided weight is not in force yet' };
    }
    if (!reading.snapshot) return { ...look, tick: null, problem: reading.problem };
    const before = cursor.step === release.step ? cursor.baseline : null;
    cursor.baseline = reading.snapshot;
    cursor.step = release.step;
    if (!before) return { ...look, tick: null, problem: 'counting has just started' };
    const result = tickBetween(before, reading.snapshot, {
      service: release.service,
      versions: [release.from, release.version],
      errors: release.policy.errors,
      t: (release.elapsedMs + look.dtMs) / 1000,
      ageMs: parts.ageMs,
    });
    return result.tick ? { ...look, tick: result.tick } : { ...look, tick: null, problem: result.problem };
  }

  async function look(ids: string[]): Promise<void> {
    if (ids.length === 0) return;
    const reading = await read();
    for (const id of ids) await lookAt(id, reading);
  }

  async function lookAt(id: string, reading: Awaited<ReturnType<typeof read>>): Promise<void> {
    const release = own(store.fleet().releases, id);
    if (!release || !underWatch(release, store.fleet())) return;
    const seen = lookFrom(release, cursorOf(release), reading);
    const [, ...wanted] = decideLook(release, seen, judge);
    const decisions = parts.mayRaise() ? wanted : wanted.filter((event) => !raises(event));
    store.observe(id, seen);
    if (decisions.length === 0) return;
    const lowering = decisions.some((event) => event.type === 'release.rollback.decided');
    const events = decisions.map((event) => withExposure(event, lane));
    const committed = await store.commit((fleet) => stillValid(fleet, release) ?? events, { lowering });
    lane.kick();
    await parts.act(committed);
  }

  function exclusive(work: () => Promise<void>): Promise<void> {
    busy = busy.then(work, work);
    return busy;
  }

  return {
    lookDue: () =>
      exclusive(() => {
        const now = clock.monoMs();
        const due = Object.values(store.fleet().releases).filter(
          (release) =>
            underWatch(release, store.fleet()) && now - cursorOf(release).lookedAtMs >= release.policy.lookMs,
        );
        return look(due.map((release) => release.id));
      }),
    lookNow: (release) => exclusive(() => look([release])),
    async rebase() {
      const { snapshot } = await read();
      for (const release of Object.values(store.fleet().releases)) {
        if (!underWatch(release, store.fleet())) {
          cursors.delete(release.id);
          continue;
        }
        const cursor = cursorOf(release);
        cursor.baseline = snapshot;
        cursor.step = release.step;
        cursor.lookedAtMs = clock.monoMs();
      }
    },
  };
}

function raises(event: ReleaseEvent): boolean {
  return event.type === 'release.step.decided' || event.type === 'release.completed';
}

function underWatch(release: ReleaseState, fleet: FleetState): boolean {
  // Held at 0 until a person decides: no requests are no evidence, and no reason to end it either.
  const held = fleet.traffic.hold?.services.find((line) => line.service === release.service);
  if (held && held.canary !== release.version) return false;
  return release.phase === 'progressing' || release.phase === 'watching';
}

/** A person may have acted while the look was on its way: then its decision is void, not applied twice. */
function stillValid(fleet: FleetState, seen: ReleaseState): ReleaseEvent[] | null {
  const now = own(fleet.releases, seen.id);
  return now && now.phase === seen.phase && now.step === seen.step && now.paused === seen.paused ? null : [];
}

function withExposure(event: ReleaseEvent, lane: TrafficLane): ReleaseEvent {
  if (event.type !== 'release.completed') return event;
  const { release, service } = event.data;
  const found = lane.observed()?.services.find((line) => line.service === service)?.exposure ?? null;
  return { ...event, data: { ...event.data, exposure: found?.release === release ? found : null } };
}
