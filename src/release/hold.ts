import { DavyError } from '../lib/error.ts';
import { own } from '../lib/own.ts';
import type { DataPlaneState, EffectiveRoute } from '../traffic/dataplane.ts';
import { checkReason, rollbackDecided } from './decide.ts';
import { releaseErrors } from './errors.ts';
import type { HeldLine, LossSign, ReleaseEvent } from './events.ts';
import { activeRelease, type FleetState, type ReleaseState, type ServiceState } from './state.ts';

/** What the world outside shows at a start, and what the ledger had before this writer. */
export interface Seen {
  /** What it had before this controller told it anything; null later on, when it has what was decided here. */
  dataPlane: DataPlaneState | null;
  /** The highest term that the ledger knew before this controller took its own. */
  knownTerm: number;
  /** Signs from elsewhere: witnesses, the run folder. */
  elsewhere: readonly LossSign[];
  /** Whether the spec declares a version of a service. */
  declares: (service: string, version: string) => boolean;
}

/**
 * Where the world is ahead of the ledger, records are lost (it was put back from a copy, or could not be written), and a
 * decision to lower may be among them. Until a person decides, every service stays at the lower weight of the two.
 * Empty when nothing is new.
 */
export function decideHold(fleet: FleetState, seen: Seen): ReleaseEvent[] {
  const { dataPlane } = seen;
  const known = fleet.traffic.hold?.signs ?? [];
  const news = [...dataPlaneSigns(fleet, seen), ...seen.elsewhere].filter(
    (sign) => sign.at > Math.max(atOf(known, sign.by), own(fleet.traffic.accepted, sign.by) ?? -1),
  );
  if (news.length === 0) return [];
  const services = Object.keys(fleet.services).map((name) => {
    const before = fleet.traffic.hold?.services.find((line) => line.service === name);
    return before ? lowerOf(before, lineOf(fleet, name, seen), dataPlane !== null) : lineOf(fleet, name, seen);
  });
  const generation = Math.max(fleet.traffic.generation, dataPlane?.generation ?? 0);
  return [{ type: 'traffic.held', data: { signs: news, generation, services } }];
}

function dataPlaneSigns(fleet: FleetState, { dataPlane, knownTerm }: Seen): LossSign[] {
  if (dataPlane === null) return [];
  const { term, generation, services } = dataPlane;
  const signs: LossSign[] = [];
  if (term > knownTerm) {
    const says = `it has seen a controller of term ${term}, the ledger knows ${knownTerm}`;
    signs.push({ by: 'data plane term', at: term, says });
  }
  if (generation > fleet.traffic.generation) {
    const says = `it has routing table ${generation}, the ledger ends at ${fleet.traffic.generation}`;
    signs.push({ by: 'data plane generation', at: generation, says });
  }
  for (const { service, exposure } of services) {
    const count = own(fleet.services, service)?.count ?? 0;
    if (exposure === null || releaseNumber(exposure.release) <= count) continue;
    const says = `it has counted requests of ${exposure.release}, the ledger knows ${count} releases of ${service}`;
    signs.push({ by: `data plane exposure of ${service}`, at: releaseNumber(exposure.release), says });
  }
  return signs;
}

function atOf(signs: readonly LossSign[], by: string): number {
  return Math.max(-1, ...signs.filter((sign) => sign.by === by).map((sign) => sign.at));
}

/** The n of `<service>-<n>`; 0 for anything else. */
function releaseNumber(release: string): number {
  return Number(/-(\d{1,9})$/.exec(release)?.[1] ?? 0);
}

function lineOf(fleet: FleetState, name: string, seen: Seen): HeldLine {
  const service = own(fleet.services, name)!;
  if (seen.dataPlane) {
    const route = seen.dataPlane.services.find((one) => one.service === name) ?? null;
    return heldLine(fleet, { name, service, route }, seen);
  }
  const release = activeRelease(fleet, name);
  const weightBp = release?.weightBp ?? 0;
  const canary = release && release.step >= 0 ? release.version : null;
  const line = { service: name, stable: service.stable, canary, weightBp, decidedBp: weightBp };
  return { ...line, ends: false, releases: service.count };
}

/** A ledger may be put back to a time when it was held already: what the world has lowered since counts as well. */
function lowerOf(before: HeldLine, now: HeldLine, compared: boolean): HeldLine {
  if (!compared) return before;
  const decidedBp = Math.max(before.decidedBp, now.decidedBp);
  return { ...now, decidedBp, ends: before.ends || now.ends, releases: Math.max(before.releases, now.releases) };
}

interface About {
  name: string;
  service: ServiceState;
  /** What the data plane has for the service; null when it knows nothing of it. */
  route: EffectiveRoute | null;
}

function heldLine(fleet: FleetState, about: About, seen: Seen): HeldLine {
  const { name, service, route } = about;
  const release = activeRelease(fleet, name);
  const stable = heldStable(about, release, seen);
  const decidedBp = release?.weightBp ?? 0;
  const weightBp = release && stable === service.stable ? Math.min(decidedBp, shareOf(release.version, route)) : 0;
  const isOver = release !== null && (weightBp < decidedBp || stable !== service.stable || wasBegun(release, route));
  return {
    ...{ service: name, stable, decidedBp, weightBp, ends: isOver },
    canary: release && weightBp > 0 ? release.version : null,
    releases: Math.max(service.count, releaseNumber(route?.exposure?.release ?? '')),
  };
}

/**
 * What the data plane has as stable was decided later than what the ledger says, so it stays; but when that is the very
 * version that the ledger has in a release, the ledger's split is the lower weight of it.
 */
function heldStable({ name, service, route }: About, release: ReleaseState | null, seen: Seen): string {
  if (!route || route.stable === release?.version || !seen.declares(name, route.stable)) return service.stable;
  return route.stable;
}

/** A release that the ledger has as requested may long have been begun, and ended. */
function wasBegun(release: ReleaseState, route: EffectiveRoute | null): boolean {
  return release.phase === 'requested' && (route === null || route.exposure?.release === release.id);
}

/** The share (basis points) of a version that the table in the data plane gives it; 0 when nobody knows. */
function shareOf(version: string, route: EffectiveRoute | null): number {
  if (route?.stable === version) return 10_000;
  return route?.canary === version ? route.decidedWeightBp : 0;
}

/**
 * A person accepts that records are lost. Nothing is raised by it: what is in force becomes what is decided. A release that
 * the ledger had higher is rolled back; it starts again from 0 when somebody asks for it.
 */
export function decideContinue(fleet: FleetState, options: { reason: string; acceptLoss: boolean }): ReleaseEvent[] {
  const reason = checkReason(options.reason);
  if (!fleet.traffic.hold) throw new DavyError(releaseErrors['not-held'], 'Nothing is held.');
  if (!options.acceptLoss) throw new DavyError(releaseErrors['loss-not-accepted'], 'Everything stays as it is.');
  const lines = fleet.traffic.hold.services;
  const ended = lines.flatMap((line) => endOf(fleet, line, reason));
  const undone = new Set(ended.map((event) => event.data.release));
  const stable = lines
    .filter((line) => line.stable !== own(fleet.services, line.service)?.stable)
    .filter((line) => !undone.has(own(fleet.services, line.service)?.stableSince ?? ''))
    .map(({ service, stable: version }) => ({ service, stable: version }));
  return [...ended, { type: 'traffic.continued', data: { reason, stable } }];
}

type Ending = Extract<ReleaseEvent, { type: 'release.rollback.decided' | 'release.cancelled' }>;

function endOf(fleet: FleetState, line: HeldLine, reason: string): Ending[] {
  const service = own(fleet.services, line.service);
  const release = activeRelease(fleet, line.service);
  const why = `records of the ledger are lost, and ${line.stable} was in force: ${reason}`;
  if (release && !line.ends) return [];
  if (release?.phase === 'requested')
    return [{ type: 'release.cancelled', data: { release: release.id, reason: why } }];
  if (release) return [rollbackDecided(release, 'operator', why, release.judgement)];
  const made = service?.stableSince ? own(fleet.releases, service.stableSince) : undefined;
  if (!made || service?.stable === line.stable || made.from !== line.stable) return [];
  return [rollbackDecided(made, 'operator', why, made.judgement)];
}
