import { ask } from '../../probe/probe.ts';
import type { HealthCheckRoute } from '../../traffic/model.ts';
import { randomShare } from '../random.ts';
import type { Endpoint } from './endpoint.ts';

/** Asks one instance for its health at intervals, with 10 % jitter, until stopped. */
export class HealthChecker {
  private readonly endpoint: Endpoint;
  private readonly config: HealthCheckRoute;
  private readonly stopped = new AbortController();
  private timer: NodeJS.Timeout;
  private streak = 0;

  constructor(endpoint: Endpoint, config: HealthCheckRoute) {
    this.endpoint = endpoint;
    this.config = config;
    this.timer = setTimeout(() => this.probe(), randomShare() * Math.min(1000, config.everyMs));
  }

  stop(): void {
    this.stopped.abort();
    clearTimeout(this.timer);
  }

  private async probe(): Promise<void> {
    const { host, port } = this.endpoint;
    const { probe, timeoutMs } = this.config;
    const { signal } = this.stopped;
    const result = await ask({ host, port, timeoutMs }, probe, signal);
    if (!signal.aborted) this.note(result.ok);
  }

  private note(healthy: boolean): void {
    const { endpoint, config } = this;
    this.streak = healthy === endpoint.healthy ? 0 : this.streak + 1;
    if (this.streak >= (healthy ? config.healthyAfter : config.unhealthyAfter)) {
      endpoint.healthy = healthy;
      this.streak = 0;
      // A healthy check brings an ejected instance back (Envoy: successful_active_health_check_uneject_host).
      if (healthy) endpoint.outlier.ejectedUntilMs = endpoint.outlier.consecutiveFailures = 0;
    }
    this.timer = setTimeout(() => this.probe(), config.everyMs * (0.95 + 0.1 * randomShare()));
  }
}
