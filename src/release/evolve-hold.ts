import { own, setOwn } from '../lib/own.ts';
import type { ReleaseEvent } from './events.ts';
import { rememberKey } from './keys.ts';
import type { FleetState } from './state.ts';

type DataOf<Type extends ReleaseEvent['type']> = Extract<ReleaseEvent, { type: Type }>['data'];

/** Weights go down to what is held, and the numbers that only grow go on from the highest ones known. */
export function held(fleet: FleetState, data: DataOf<'traffic.held'>, { atMs }: { atMs: number }): FleetState {
  const services = { ...fleet.services };
  const releases = { ...fleet.releases };
  for (const line of data.services) {
    const service = own(services, line.service);
    if (!service) continue;
    setOwn(services, line.service, { ...service, count: Math.max(service.count, line.releases) });
    const release = service.active === null ? undefined : own(releases, service.active);
    if (release) setOwn(releases, release.id, { ...release, weightBp: Math.min(release.weightBp, line.weightBp) });
  }
  const before = fleet.traffic.hold;
  const hold = {
    sinceMs: before?.sinceMs ?? atMs,
    signs: [...(before?.signs ?? []), ...data.signs],
    services: data.services,
  };
  const generation = Math.max(fleet.traffic.generation, data.generation);
  return { ...fleet, services, releases, traffic: { ...fleet.traffic, generation, hold } };
}

/** What is in force counts; the same signs hold nothing again. */
export function continued(fleet: FleetState, data: DataOf<'traffic.continued'>): FleetState {
  const accepted = { ...fleet.traffic.accepted };
  for (const { by, at } of fleet.traffic.hold?.signs ?? []) setOwn(accepted, by, Math.max(own(accepted, by) ?? -1, at));
  const services = { ...fleet.services };
  for (const { service: name, stable } of data.stable) {
    const service = own(services, name);
    if (service) setOwn(services, name, { ...service, stable, stableSince: null });
  }
  const keys = data.key === undefined ? fleet.keys : rememberKey(fleet.keys, data.key, '');
  return { ...fleet, services, keys, traffic: { ...fleet.traffic, hold: null, accepted } };
}
