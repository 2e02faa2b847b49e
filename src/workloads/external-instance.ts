import { sleep } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import { HostAddress } from '../lib/host-address.ts';
import { ask } from '../probe/probe.ts';
import { workloadsErrors } from './errors.ts';
import { afterProbe, type HealthState, nextProbeMs, unaskedHealth } from './health.ts';
import { type InstanceDeclaration, jittered, type ManagedInstance, type Supervision } from './managed-instance.ts';
import type { InstanceStatus } from './workloads.ts';

/** An endpoint that runs already: Davy only asks for its health. */
export class ExternalInstance implements ManagedInstance {
  readonly id: string;
  readonly #declared: InstanceDeclaration;
  readonly #host: HostAddress;
  readonly #port: number;
  readonly #shared: Supervision;
  readonly #ended = new AbortController();
  #health: HealthState;
  /** What answered the last good health check, where the host is a name. */
  #address: string | null = null;
  #loop: Promise<void> = Promise.resolve();

  constructor(declared: InstanceDeclaration, address: { host: string; port: number }, shared: Supervision) {
    this.id = declared.id;
    this.#declared = declared;
    this.#host = new HostAddress(address.host);
    this.#port = address.port;
    this.#shared = shared;
    this.#health = unaskedHealth(declared.health, shared.clock.monoMs());
  }

  status(): InstanceStatus {
    const { id, service, version, zone } = this.#declared;
    const { phase, problem } = this.#health;
    return {
      ...{ id, service, version, zone },
      ...{ host: this.#host.host, port: this.#port },
      ...(this.#address === null ? {} : { address: this.#address }),
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
    const sentence = `${this.id} runs outside Davy at ${this.#host.host}:${this.#port}.`;
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
      const where = { host: this.#host, port: this.#port, timeoutMs: health.timeoutMs };
      const result = await ask(where, health.probe, signal);
      if (signal.aborted) break;
      this.#note(afterProbe(this.#health, result, health, clock.monoMs()), result.ok);
      tried();
      await sleep(clock, jittered(nextProbeMs(this.#health, health), random()), signal).catch(() => {});
    }
    tried();
  }

  #note(next: HealthState, good: boolean): void {
    const before = this.#health;
    this.#health = next;
    if (!good && next.phase !== 'ready') this.#host.passOver();
    const moved = good && this.#moved();
    const changed = before.phase !== next.phase || before.problem !== next.problem;
    if (changed) this.#shared.log(`${this.id} is ${next.phase}${next.problem === null ? '' : `: ${next.problem}`}`);
    if (changed || moved) this.#shared.changed();
  }

  /** Whether the name led somewhere else this time; traffic follows. */
  #moved(): boolean {
    const { current, isName } = this.#host;
    const before = this.#address;
    if (!isName || current === before) return false;
    this.#address = current;
    if (before !== null) this.#shared.log(`${this.id} has moved from ${before} to ${current}`);
    return true;
  }
}
