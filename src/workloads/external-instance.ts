import { sleep } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import { ask } from '../probe/probe.ts';
import { workloadsErrors } from './errors.ts';
import { afterProbe, type HealthState, nextProbeMs, unaskedHealth } from './health.ts';
import { type InstanceDeclaration, jittered, type ManagedInstance, type Supervision } from './managed-instance.ts';
import type { InstanceStatus } from './workloads.ts';

/** An endpoint that runs already: Davy only asks for its health. */
export class ExternalInstance implements ManagedInstance {
  readonly id: string;
  readonly #declared: InstanceDeclaration;
  readonly #address: { host: string; port: number };
  readonly #shared: Supervision;
  readonly #ended = new AbortController();
  #health: HealthState;
  #loop: Promise<void> = Promise.resolve();

  constructor(declared: InstanceDeclaration, address: { host: string; port: number }, shared: Supervision) {
    this.id = declared.id;
    this.#declared = declared;
    this.#address = address;
    this.#shared = shared;
    this.#health = unaskedHealth(declared.health, shared.clock.monoMs());
  }

  status(): InstanceStatus {
    const { id, service, version, zone } = this.#declared;
    const { phase, problem } = this.#health;
    return {
      ...{ id, service, version, zone },
      ...this.#address,
      phase: this.#ended.signal.aborted ? 'stopped' : phase,
      pid: null,
      restarts: 0,
      startedAtMs: null,
      problem,
    };
  }

  start(): Promise<void> {
    return new Promise((tried) => {
      this.#loop = this.#probeForEver(tried);
    });
  }

  replace(): Promise<void> {
    const sentence = `${this.id} runs outside Davy at ${this.#address.host}:${this.#address.port}.`;
    return Promise.reject(new DavyError(workloadsErrors['not-ours'], sentence));
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#loop;
  }

  async #probeForEver(tried: () => void): Promise<void> {
    const { clock, random } = this.#shared;
    const { health } = this.#declared;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      const result = await ask({ ...this.#address, timeoutMs: health.timeoutMs }, health.probe, signal);
      if (signal.aborted) break;
      this.#note(afterProbe(this.#health, result, health, clock.monoMs()));
      tried();
      await sleep(clock, jittered(nextProbeMs(this.#health, health), random()), signal).catch(() => {});
    }
    tried();
  }

  #note(next: HealthState): void {
    const before = this.#health;
    this.#health = next;
    if (before.phase === next.phase && before.problem === next.problem) return;
    this.#shared.log(`${this.id} is ${next.phase}${next.problem === null ? '' : `: ${next.problem}`}`);
    this.#shared.changed();
  }
}
