import { historyOf, newStableRecord, noteStable, type StableRecord } from '../analysis/history.ts';
import type { StableHistory } from '../analysis/judge.ts';
import { own } from '../lib/own.ts';
import { tickBetween } from '../metrics/delta.ts';
import type { CounterSnapshot } from '../metrics/source.ts';
import type { Spec } from '../spec/model.ts';
import type { FleetState } from './state.ts';

/** How often the stable versions' counters are read. */
export const STABLE_READ_EVERY_MS = 10_000;

/**
 * Watches the stable versions between releases and gives a release that begins its yardstick. What it knows lives in memory:
 * after a restart it begins anew, and a release that begins then learns from its own first traffic. What a release was
 * given stands in its first record.
 */
export class StableWatch {
  readonly #spec: Spec;
  readonly #records = new Map<string, { stable: string; record: StableRecord }>();
  #last: CounterSnapshot | null = null;
  /** Time covered, s: the axis of the ticks, whatever the source's own clock does at a restart. */
  #coveredS = 0;

  constructor(spec: Spec) {
    this.#spec = spec;
  }

  /** Takes a reading; what happened since the one before goes to the record of every service. */
  note(snapshot: CounterSnapshot, fleet: FleetState): void {
    const before = this.#last;
    this.#last = snapshot;
    if (before === null) return;
    this.#coveredS += Math.max(0, snapshot.monoMs - before.monoMs) / 1000;
    for (const service of Object.values(this.#spec.services)) this.#noteService(service.name, before, snapshot, fleet);
  }

  #noteService(name: string, before: CounterSnapshot, now: CounterSnapshot, fleet: FleetState): void {
    const state = own(fleet.services, name);
    const policy = own(this.#spec.policies, own(this.#spec.services, name)?.policy ?? '');
    // While a release is in flight the judge itself watches stable, and the release's counts are its own.
    if (!state || !policy || state.active !== null) return;
    const question = { service: name, versions: [state.stable], errors: policy.errors, t: this.#coveredS };
    const { tick } = tickBetween(before, now, { ...question, ageMs: () => null });
    if (tick === null) return;
    const known = this.#records.get(name);
    const record = known?.stable === state.stable ? known.record : newStableRecord(tick.edges);
    this.#records.set(name, { stable: state.stable, record: noteStable(record, tick, state.stable) });
  }

  /** The yardstick for a release from `stable`; undefined where too little is known of it. */
  historyOf(service: string, stable: string): StableHistory | undefined {
    const known = this.#records.get(service);
    return known?.stable === stable ? historyOf(known.record) : undefined;
  }
}
