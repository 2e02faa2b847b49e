import type { Cancel, Clock } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import type { Spec } from '../spec/model.ts';
import { workloadsErrors } from './errors.ts';
import type { InstanceStatus, Workloads } from './workloads.ts';

export interface MemoryWorkloadsOptions {
  spec: Spec;
  clock: Clock;
  /** From start to ready; 100 ms unless given. */
  startupMs?: number;
  /** From death to the next start; 200 ms unless given. */
  backOffMs?: number;
}

/** Instances without processes, for simulation: they obey the same port, and the simulation breaks and mends them. */
export interface MemoryWorkloads extends Workloads {
  /** Health checks fail from now on (also before `start`, so that a version never becomes ready). */
  breakHealth(instanceId: string, problem: string): void;
  mendHealth(instanceId: string): void;
  /** The instance is reached at another port from now on. */
  move(instanceId: string): void;
  /** The process dies; one that Davy runs starts again after the back-off. */
  crash(instanceId: string, problem: string): void;
}

interface Fake {
  status: InstanceStatus;
  ours: boolean;
  broken: string | null;
  timer: Cancel;
  tried: PromiseWithResolvers<void>;
}

export function createMemoryWorkloads(options: MemoryWorkloadsOptions): MemoryWorkloads {
  const { clock, startupMs = 100, backOffMs = 200 } = options;
  const fakes = new Map(declaredFakes(options.spec).map((fake) => [fake.status.id, fake]));
  const listeners = new Set<() => void>();
  let stopped = false;
  let lastPid = 1_000;
  let freePort = 50_000;

  function find(id: string): Fake {
    const fake = fakes.get(id);
    if (!fake) throw new DavyError(workloadsErrors['unknown-instance'], `No instance "${id}" is declared.`);
    return fake;
  }

  function show(fake: Fake, change: Partial<InstanceStatus>): void {
    fake.status = { ...fake.status, ...change };
    for (const listener of listeners) listener();
  }

  function judge(fake: Fake): void {
    const phase = fake.broken === null ? 'ready' : fake.status.startedAtMs === null ? 'starting' : 'unhealthy';
    show(fake, { phase, problem: fake.broken });
    fake.tried.resolve();
  }

  function launch(fake: Fake): void {
    const again = fake.status.startedAtMs !== null;
    const startedAtMs = fake.ours ? clock.nowMs() : null;
    const pid = fake.ours ? ++lastPid : null;
    show(fake, { phase: 'starting', pid, startedAtMs, restarts: fake.status.restarts + (again ? 1 : 0) });
    fake.timer = clock.after(fake.ours ? startupMs : 0, () => judge(fake));
  }

  return {
    async start() {
      for (const fake of fakes.values()) launch(fake);
      await Promise.all([...fakes.values()].map((fake) => fake.tried.promise));
    },
    list: () => [...fakes.values()].map((fake) => fake.status),
    async replace(instanceId) {
      const fake = find(instanceId);
      if (!fake.ours) throw new DavyError(workloadsErrors['not-ours'], `${instanceId} runs outside Davy.`);
      if (stopped) throw new DavyError(workloadsErrors.stopped, `${instanceId} was stopped.`);
      fake.timer();
      fake.tried = Promise.withResolvers();
      launch(fake);
      await fake.tried.promise;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async stop() {
      stopped = true;
      for (const fake of fakes.values()) {
        fake.timer();
        show(fake, { phase: 'stopped', pid: null });
        fake.tried.resolve();
      }
    },
    breakHealth(instanceId, problem) {
      const fake = find(instanceId);
      fake.broken = problem;
      if (fake.status.phase === 'ready') judge(fake);
    },
    mendHealth(instanceId) {
      const fake = find(instanceId);
      fake.broken = null;
      if (!stopped && fake.status.phase === 'unhealthy') judge(fake);
    },
    move(instanceId) {
      const fake = find(instanceId);
      show(fake, { port: freePort++ });
    },
    crash(instanceId, problem) {
      const fake = find(instanceId);
      if (stopped) return;
      fake.timer();
      show(fake, { phase: fake.ours ? 'backing-off' : 'unhealthy', pid: null, problem });
      fake.tried.resolve();
      if (fake.ours) fake.timer = clock.after(backOffMs, () => launch(fake));
    },
  };
}

function declaredFakes(spec: Spec): Fake[] {
  let port = 40_000;
  return Object.values(spec.services).flatMap((service) =>
    Object.values(service.versions).flatMap((version) => {
      const ours = version.argv !== null;
      const count = ours ? version.replicas : version.endpoints.length;
      return Array.from({ length: count }, (_, i): Fake => {
        const url = ours ? null : new URL(version.endpoints[i]!);
        return {
          status: {
            id: `${service.name}/${version.name}/${i + 1}`,
            ...{ service: service.name, version: version.name, zone: version.zone },
            host: url?.hostname ?? '127.0.0.1',
            port: url ? Number(url.port || 80) : port++,
            ...{ phase: 'starting', pid: null, restarts: 0, startedAtMs: null, problem: null },
          },
          ...{ ours, broken: null, timer: () => {}, tried: Promise.withResolvers<void>() },
        };
      });
    }),
  );
}
