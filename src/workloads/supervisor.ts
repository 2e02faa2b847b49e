import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import { findByEnvironment, findFreePort, terminate } from '../lib/process.ts';
import type { ServiceSpec, Spec, VersionSpec } from '../spec/model.ts';
import { workloadsErrors } from './errors.ts';
import { ExternalInstance } from './external-instance.ts';
import type { InstanceFaults } from './faults.ts';
import { openInstanceRecords } from './instance-records.ts';
import type { ManagedInstance, Supervision } from './managed-instance.ts';
import { createProcessFaults } from './process-faults.ts';
import { ProcessInstance } from './process-instance.ts';
import type { Workloads } from './workloads.ts';

export interface WorkloadsOptions {
  spec: Spec;
  /** `<runDir>/instances/` holds what the next controller needs to adopt running instances. */
  runDir: string;
  logDir: string;
  /** The spec file's folder: commands run there. */
  baseDir: string;
  clock: Clock;
  log: (sentence: string) => void;
  /** Nothing that an earlier controller left running is ended before this resolves; at once if absent. */
  mayEnd?: Promise<void>;
  /** 0 <= random() < 1, for jitter only. */
  random?: () => number;
  /** SIGTERM to SIGKILL; 10 s unless given. */
  graceMs?: number;
  /** From leaving the ready instances to SIGTERM in `replace`; 300 ms unless given. */
  drainMs?: number;
}

/** Ports given last that are not given again: hours of restarts, and a fraction of what a machine has. */
const PORTS_REMEMBERED = 1_000;

/** The driver for one machine, with the faults that can be rehearsed on its processes. */
export interface MachineWorkloads extends Workloads {
  faults: InstanceFaults;
}

/** Runs the declared versions as processes on this machine, and watches the endpoints that run elsewhere. */
export function openWorkloads(options: WorkloadsOptions): MachineWorkloads {
  const listeners = new Set<() => void>();
  const shared = supervision(options, () => {
    for (const listener of listeners) listener();
  });
  const instances = new Map<string, ManagedInstance>();
  for (const service of Object.values(options.spec.services)) {
    for (const version of Object.values(service.versions)) {
      for (const instance of declare(service, version, shared)) instances.set(instance.id, instance);
    }
  }
  const list = () => [...instances.values()].map((instance) => instance.status());
  return {
    start: () => startAll([...instances.values()], options.mayEnd ?? Promise.resolve(), shared),
    list,
    faults: createProcessFaults(list, options.logDir),
    async replace(instanceId) {
      const instance = instances.get(instanceId);
      if (instance === undefined) {
        throw new DavyError(workloadsErrors['unknown-instance'], `No instance "${instanceId}" is declared.`);
      }
      await instance.replace();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async stop({ leaveRunning = false } = {}) {
      await Promise.all([...instances.values()].map((instance) => instance.stop(leaveRunning)));
    },
  };
}

function supervision(options: WorkloadsOptions, changed: () => void): Supervision {
  const { clock, log, logDir, baseDir } = options;
  // A service's own port is free until the gateway opens it, and must not be given away before.
  const listenPorts = Object.values(options.spec.services).map((service) => service.listenPort);
  const given = new Set<number>();
  return {
    ...{ clock, log, logDir, baseDir, changed },
    random: options.random ?? Math.random,
    records: openInstanceRecords(join(options.runDir, 'instances')),
    async freshPort() {
      const port = await findFreePort('127.0.0.1', new Set([...listenPorts, ...given]));
      given.add(port);
      // A crash loop of days must not use up every port of the machine.
      if (given.size > PORTS_REMEMBERED) given.delete(given.values().next().value!);
      return port;
    },
    graceMs: options.graceMs ?? 10_000,
    drainMs: options.drainMs ?? 300,
  };
}

function declare(service: ServiceSpec, version: VersionSpec, shared: Supervision): ManagedInstance[] {
  const declaration = (n: number) => ({
    id: `${service.name}/${version.name}/${n}`,
    service: service.name,
    version: version.name,
    zone: version.zone,
    health: service.health,
  });
  const { argv, env } = version;
  if (argv !== null) {
    const replicas = Array.from({ length: version.replicas }, (_, i) => declaration(i + 1));
    return replicas.map((declared) => new ProcessInstance(declared, { argv, env }, shared));
  }
  return version.endpoints.map((endpoint, i) => new ExternalInstance(declaration(i + 1), addressOf(endpoint), shared));
}

function addressOf(endpoint: string): { host: string; port: number } {
  const url = new URL(endpoint);
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port || 80) };
}

/**
 * All at once, except instances that still run an older declaration: those change one after another, so that a version
 * keeps serving. What is no longer declared ends last.
 */
async function startAll(instances: ManagedInstance[], mayEnd: Promise<void>, shared: Supervision): Promise<void> {
  const outdated = instances.filter((instance) => instance instanceof ProcessInstance && instance.outdated);
  await Promise.all(instances.filter((instance) => !outdated.includes(instance)).map((instance) => instance.start()));
  await mayEnd;
  for (const instance of outdated) await instance.start();
  await endUndeclared(new Set(instances.map((instance) => instance.id)), shared);
}

async function endUndeclared(declared: ReadonlySet<string>, shared: Supervision): Promise<void> {
  const abandoned = shared.records.all().filter((record) => !declared.has(record.id));
  await Promise.all(
    abandoned.map(async (record) => {
      const identity = record.identity ?? findByEnvironment('DAVY_INSTANCE_TOKEN', record.token)[0];
      if (identity) await terminate(identity, shared);
      shared.records.remove(record.id);
      shared.log(`${record.id} is no longer declared and was ended`);
    }),
  );
}
