import type { Cohort } from '../../metrics/source.ts';
import type { DepartedVersion } from '../../traffic/dataplane.ts';
import type { ServiceRoute } from '../../traffic/model.ts';
import { limits } from '../limits.ts';
import type { Timed, Wheel } from '../net/wheel.ts';
import type { InstanceStats } from '../stats/instance-stats.ts';

/** What a route says of versions. */
export interface ServingRoute {
  readonly config: Pick<ServiceRoute, 'stable' | 'canary' | 'drainMs'>;
  /** Whether new requests of the cohort may reach the version now. */
  serves(version: string, cohort: Cohort, nowMs: number): boolean;
  /** Until a lease ends and with it what is served; infinite without one. */
  servesForMs(nowMs: number): number;
}

/** What may be handed to another process: how a departure stands. */
export type DepartureEstate = Pick<
  DepartedVersion,
  'version' | 'sinceMs' | 'open' | 'ended' | 'cut' | 'unseen' | 'cutInMs'
>;

/** When something is past its time, and cutting it has not ended it. */
const AGAIN_MS = 250;

/** A version that gets no more requests, and what was open on it. */
export class Departure {
  readonly version: string;
  readonly sinceMs: number;
  /** Monotonic: what is open then is cut. */
  readonly endsMs: number;
  open = 0;
  ended = 0;
  cut = 0;
  unseen = 0;
  private emptyAtMs: number;
  private readonly onBegin: () => void;

  constructor(version: string, sinceMs: number, endsMs: number, onBegin: () => void) {
    this.version = version;
    this.sinceMs = this.emptyAtMs = sinceMs;
    this.endsMs = endsMs;
    this.onBegin = onBegin;
  }

  /** A request that the version had already is tried once more on it. */
  noteBegin(): void {
    this.open++;
    this.onBegin();
  }

  noteEnd(wasCut: boolean): void {
    this.open--;
    if (wasCut) this.cut++;
    else this.ended++;
    if (this.open === 0) this.emptyAtMs = Date.now();
  }

  /** What another process began: what is open there ends unseen. */
  inherit({ open, ended, cut, unseen }: DepartureEstate): void {
    this.ended = ended;
    this.cut = cut;
    this.unseen = unseen + open;
    this.emptyAtMs = Date.now();
  }

  report(nowMs: number): DepartedVersion {
    const { version, sinceMs, open, ended, cut, unseen } = this;
    const emptyAtMs = open === 0 ? this.emptyAtMs : null;
    return { version, sinceMs, open, ended, cut, unseen, emptyAtMs, cutInMs: Math.max(0, this.endsMs - nowMs) };
  }
}

/**
 * The end of what outlives a decision: requests, streams and tunnels on a version that gets no more traffic (it was rolled back or
 * replaced, its weight is 0, or its lease has expired) may end by themselves for the route's `drainMs`, and are cut then. Zero means zero.
 */
export class Departures implements Timed {
  deadlineMs = 0;
  wheelNext: Timed | null = null;
  wheelPrevious: Timed | null = null;
  wheelSlot = -1;

  /** Over all departures. */
  private ended = 0;
  private cut = 0;
  private readonly stats: Iterable<InstanceStats>;
  private readonly byVersion = new Map<string, Departure>();
  private route: ServingRoute | null = null;
  private wheel: Wheel | null = null;

  /** `stats`: of every instance in every cohort, whether it is in the table or not. */
  constructor(stats: Iterable<InstanceStats>) {
    this.stats = stats;
  }

  /** The route that is in force from now on. */
  follow(route: ServingRoute, wheel: Wheel, nowMs: number): void {
    const before = this.route?.config;
    this.route = route;
    this.wheel = wheel;
    for (const version of [before?.stable, before?.canary?.version]) {
      if (version !== undefined && !route.serves(version, 'weight', nowMs)) this.depart(version, nowMs);
    }
    this.check(nowMs);
  }

  onDeadline(nowMs: number): void {
    this.check(nowMs);
  }

  private check(nowMs: number): void {
    const { route } = this;
    if (route === null) return;
    const served = new Set<string>();
    for (const one of this.stats) {
      if (route.serves(one.version, one.cohort, nowMs)) {
        one.departure = null;
        if (one.cohort === 'weight') served.add(one.version);
      } else if (one.flights.size > 0 || this.byVersion.has(one.version)) {
        this.follows(one, this.depart(one.version, nowMs));
      } else {
        one.departure = null;
      }
    }
    for (const version of served) this.forget(version);
    this.cutOverdue(nowMs);
    this.arm(nowMs);
  }

  private depart(version: string, nowMs: number): Departure {
    const known = this.byVersion.get(version);
    if (known !== undefined) return known;
    this.makeRoom();
    const endsMs = nowMs + (this.route?.config.drainMs ?? limits.departureMs);
    const departure = new Departure(version, Date.now(), endsMs, () => this.arm(nowMs));
    this.byVersion.set(version, departure);
    return departure;
  }

  /** The oldest one of which nothing is open gives way. */
  private makeRoom(): void {
    if (this.byVersion.size < limits.versionsPerService) return;
    for (const { version, open } of this.byVersion.values()) {
      if (open > 0) continue;
      this.forget(version);
      return;
    }
  }

  private follows(one: InstanceStats, departure: Departure): void {
    if (one.departure === departure) return;
    one.departure = departure;
    departure.open += one.flights.size;
  }

  private forget(version: string): void {
    const departure = this.byVersion.get(version);
    if (departure === undefined) return;
    this.byVersion.delete(version);
    this.ended += departure.ended;
    this.cut += departure.cut;
  }

  private cutOverdue(nowMs: number): void {
    for (const { departure, flights } of this.stats) {
      if (departure === null || departure.endsMs > nowMs) continue;
      flights.forEach((flight) => {
        flight.cut();
      });
    }
  }

  /** The next time at which something is to be done; none when nothing is open and no lease can end. */
  private arm(nowMs: number): void {
    let atMs = nowMs + (this.route?.servesForMs(nowMs) ?? Number.POSITIVE_INFINITY);
    for (const { open, endsMs } of this.byVersion.values()) {
      if (open > 0) atMs = Math.min(atMs, Math.max(endsMs, nowMs + AGAIN_MS));
    }
    if (atMs < Number.POSITIVE_INFINITY) this.wheel?.set(this, atMs);
    else this.wheel?.clear(this);
  }

  reports(nowMs: number): DepartedVersion[] {
    return [...this.byVersion.values()].map((departure) => departure.report(nowMs));
  }

  /** By metric name without prefix; empty for a service that no version ever left. */
  extras(): Record<string, number> {
    const sums = { open: 0, ended: this.ended, cut: this.cut };
    for (const { open, ended, cut } of this.byVersion.values()) {
      sums.open += open;
      sums.ended += ended;
      sums.cut += cut;
    }
    if (this.byVersion.size === 0 && sums.ended + sums.cut === 0) return {};
    return { departed_open: sums.open, departed_ended_total: sums.ended, departed_cut_total: sums.cut };
  }

  /** Goes on with what another process began. What is open there ends there, unseen from here. */
  inherit(departures: readonly DepartureEstate[], nowMs: number): void {
    for (const one of departures) {
      const departure = new Departure(one.version, one.sinceMs, nowMs + one.cutInMs, () => this.arm(nowMs));
      departure.inherit(one);
      this.byVersion.set(one.version, departure);
    }
    this.check(nowMs);
  }

  stop(): void {
    this.wheel?.clear(this);
  }
}
