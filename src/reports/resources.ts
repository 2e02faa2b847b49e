import { formatDurationMs, formatRatePerSecond } from '../lib/units.ts';
import type { SystemDoc } from '../server/routes/system.ts';
import type { FleetDoc } from '../server/schemas.ts';
import type { ServiceSpec, Spec } from '../spec/model.ts';
import type { Sample } from './exposition.ts';

/** A process that Davy knows: its own, the gateway's, and those that it started or reaches. */
export interface ProcessLine {
  name: string;
  pid: number | null;
  ports: number[];
  restarts: number | null;
  /** Resident memory in bytes; null where Davy does not measure it (it does so for its own processes only). */
  memoryBytes: number | null;
}

/** What is declared for a version, and how much of it there is. */
export interface ReplicaLine {
  service: string;
  version: string;
  declared: number;
  running: number;
  zone: string | null;
  runs: 'process' | 'endpoint';
}

/** The limits that the gateway holds a service to, in words; `none` where nothing is declared. */
export interface LimitLine {
  service: string;
  listenPort: number;
  timeout: string;
  rate: string;
  retries: string;
  ejection: string;
  caps: string;
}

export interface Resources {
  processes: ProcessLine[];
  replicas: ReplicaLine[];
  limits: LimitLine[];
}

const gatewayMemory = 'davy_gateway_resident_memory_bytes';

/** Pure: what the spec declares beside what runs. */
export function resourcesOf(spec: Spec, fleet: FleetDoc, system: SystemDoc, samples: readonly Sample[]): Resources {
  const services = Object.values(spec.services);
  return {
    processes: [controllerLine(system), ...gatewayLines(services, samples), ...instanceLines(fleet)],
    replicas: services.flatMap((service) => replicaLines(service, fleet)),
    limits: services.map(limitLine),
  };
}

function controllerLine({ controller }: SystemDoc): ProcessLine {
  return { name: 'controller', pid: controller.pid, ports: [], restarts: null, memoryBytes: controller.rssBytes };
}

/** One line per process that reports itself; one without a figure when none can be read. */
function gatewayLines(services: readonly ServiceSpec[], samples: readonly Sample[]): ProcessLine[] {
  const ports = services.map((service) => service.listenPort);
  const sizes: (number | null)[] = samples.filter(({ name }) => name === gatewayMemory).map(({ value }) => value);
  return (sizes.length === 0 ? [null] : sizes).map((memoryBytes, index) => ({
    ...{ name: sizes.length > 1 ? `gateway ${index + 1}` : 'gateway', pid: null, ports, restarts: null, memoryBytes },
  }));
}

function instanceLines(fleet: FleetDoc): ProcessLine[] {
  return fleet.services
    .flatMap((service) => service.instances)
    .map(({ id, pid, port, restarts }) => ({ name: id, pid, ports: [port], restarts, memoryBytes: null }));
}

function replicaLines({ name, versions }: ServiceSpec, fleet: FleetDoc): ReplicaLine[] {
  const instances = fleet.services.find((one) => one.name === name)?.instances ?? [];
  return Object.values(versions).map((version) => ({
    ...{ service: name, version: version.name, declared: version.replicas, zone: version.zone },
    running: instances.filter((one) => one.version === version.name && one.phase === 'ready').length,
    runs: version.argv === null ? 'endpoint' : 'process',
  }));
}

function limitLine({ name, listenPort, traffic }: ServiceSpec): LimitLine {
  const { timeoutMs, rateLimit, retries, ejection, gateway } = traffic;
  const caps = Object.entries(gateway?.caps ?? {}).map(([cap, count]) => `${cap} ${count}`);
  return {
    ...{ service: name, listenPort, timeout: formatDurationMs(timeoutMs) },
    rate: rateLimit ? `${formatRatePerSecond(rateLimit.perSecond)}, burst ${rateLimit.burst}` : 'none',
    retries: retries ? `${retries.maxTries} tries of ${formatDurationMs(retries.perTryMs)}` : 'none',
    ejection: ejection ? `after ${ejection.consecutive5xx} in a row, ${formatDurationMs(ejection.forMs)}` : 'none',
    caps: caps.length === 0 ? 'none' : caps.join(', '),
  };
}
