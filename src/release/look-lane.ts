import type { Judge, Look } from '../analysis/judge.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/error.ts';
import { own } from '../lib/own.ts';
import { formatWeightBp } from '../lib/units.ts';
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
  /** Effects of decisions that are not traffic (an instance at fault): begun here, so that no other release waits for them. */
  act: (events: ReleaseEvent[]) => void;
}

/** Per release: when it was looked at last, and the reading that the next tick starts from. Only a look moves either. */
interface Cursor {
  lookedAtMs: number;
  baseline: CounterSnapshot | null;
}

interface Reading {
  snapshot: CounterSnapshot | null;
  problem: string;
}

/** The fast brake: one reading per due look, one decision per release. */
export interface LookLane {
  /** Looks at every release that is due. Never overlaps with itself. */
  lookDue(): Promise<void>;
  /** Looks at one release now, whether due or not. */
  lookNow(release: string): Promise<void>;
}

export function createLookLane(parts: LookLaneParts): LookLane {
  const { store, clock, lane, judge } = parts;
  const cursors = new Map<string, Cursor>();
  let busy: Promise<void> = Promise.resolve();

  async function read(): Promise<Reading> {
    try {
      return { snapshot: await parts.metrics.read(), problem: '' };
    } catch (error) {
      return { snapshot: null, problem: `the metrics cannot be read: ${messageOf(error)}` };
    }
  }

  /** Counting starts with the reading of the moment at which a release is first seen under watch. */
  function cursorOf(release: ReleaseState, { snapshot }: Reading): Cursor {
    let cursor = cursors.get(release.id);
    if (!cursor) {
      cursor = { lookedAtMs: clock.monoMs(), baseline: snapshot };
      cursors.set(release.id, cursor);
    }
    return cursor;
  }

  /**
   * What one release's part of the reading says. The weight is the one that was read back for this service, so that counts of
   * the moments before a new weight is in force are judged under the old one; while it is not the decided one, harm is looked
   * for and nothing else follows. What happens to other services' routes is no business of this release.
   */
  function lookFrom(release: ReleaseState, cursor: Cursor, reading: Reading): Look {
    const now = clock.monoMs();
    const inForceBp = lane.weightInForce(release);
    const look: Look = {
      ...{ dtMs: now - cursor.lookedAtMs, tick: null, stepIndex: release.step },
      weightBp: inForceBp ?? release.weightBp,
      ...(release.paused ? { paused: true } : {}),
      ...(inForceBp === release.weightBp ? {} : { unconfirmed: unconfirmed(release, inForceBp) }),
    };
    cursor.lookedAtMs = now;
    if (!reading.snapshot) return { ...look, problem: reading.problem };
    const before = cursor.baseline;
    cursor.baseline = reading.snapshot;
    if (!before) return { ...look, problem: 'counting has just started' };
    const result = tickBetween(before, reading.snapshot, {
      service: release.service,
      versions: [release.from, release.version],
      errors: release.policy.errors,
      t: (release.elapsedMs + look.dtMs) / 1000,
      ageMs: parts.ageMs,
    });
    return result.tick ? { ...look, tick: result.tick } : { ...look, problem: result.problem };
  }

  function unconfirmed(release: ReleaseState, inForceBp: number | null): string {
    const decided = `the decided weight of ${formatWeightBp(release.weightBp)}`;
    if (inForceBp === null)
      return `${decided} is not in force: ${lane.problem() ?? 'the data plane serves other versions'}`;
    return `${decided} is not in force, the canary gets ${formatWeightBp(inForceBp)}`;
  }

  async function look(ids: string[]): Promise<void> {
    if (ids.length === 0) return;
    const reading = await read();
    for (const id of ids) await lookAt(id, reading);
  }

  async function lookAt(id: string, reading: Reading): Promise<void> {
    const release = own(store.fleet().releases, id);
    if (!release || !underWatch(release, store.fleet())) return;
    const seen = lookFrom(release, cursorOf(release, reading), reading);
    const [, ...wanted] = decideLook(release, seen, judge);
    const decisions = parts.mayRaise() ? wanted : wanted.filter((event) => !raises(event));
    store.observe(id, seen);
    if (decisions.length === 0) return;
    const lowering = decisions.some((event) => event.type === 'release.rollback.decided');
    const events = decisions.map((event) => withExposure(event, lane));
    const committed = await store.commit((fleet) => stillValid(fleet, release, events), { lowering });
    lane.kick();
    parts.act(committed);
  }

  async function lookDue(): Promise<void> {
    const now = clock.monoMs();
    const fleet = store.fleet();
    const watched = Object.values(fleet.releases).filter((release) => underWatch(release, fleet));
    const ids = new Set(watched.map((release) => release.id));
    for (const id of cursors.keys()) if (!ids.has(id)) cursors.delete(id);
    const begun = watched.filter((release) => !cursors.has(release.id));
    const due = watched.filter((release) => isDue(release, now));
    if (begun.length + due.length === 0) return;
    const reading = await read();
    for (const release of begun) cursorOf(release, reading);
    for (const release of due) await lookAt(release.id, reading);
  }

  function isDue(release: ReleaseState, now: number): boolean {
    const cursor = cursors.get(release.id);
    return cursor !== undefined && now - cursor.lookedAtMs >= release.policy.lookMs;
  }

  function exclusive(work: () => Promise<void>): Promise<void> {
    busy = busy.then(work, work);
    return busy;
  }

  return {
    lookDue: () => exclusive(lookDue),
    lookNow: (release) => exclusive(() => look([release])),
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
function stillValid(fleet: FleetState, seen: ReleaseState, events: ReleaseEvent[]): ReleaseEvent[] {
  const now = own(fleet.releases, seen.id);
  if (!now || now.phase !== seen.phase || now.step !== seen.step || now.paused !== seen.paused) return [];
  return fleet.traffic.hold ? events.filter((event) => !raises(event)) : events;
}

function withExposure(event: ReleaseEvent, lane: TrafficLane): ReleaseEvent {
  if (event.type !== 'release.completed') return event;
  const { release, service } = event.data;
  const found = lane.observed()?.services.find((line) => line.service === service)?.exposure ?? null;
  return { ...event, data: { ...event.data, exposure: found?.release === release ? found : null } };
}
