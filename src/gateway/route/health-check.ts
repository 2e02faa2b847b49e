import http from 'node:http';
import type { HealthCheckRoute } from '../../traffic/model.ts';
import { askGrpc } from '../http2/grpc-health.ts';
import { randomShare } from '../random.ts';
import type { Endpoint } from './endpoint.ts';

/** Asks one instance for its health at intervals, with 10 % jitter, until stopped. An answer of 200 to 399 is healthy. */
export class HealthChecker {
  private readonly endpoint: Endpoint;
  private readonly config: HealthCheckRoute;
  private timer: NodeJS.Timeout;
  private stopped = false;
  private streak = 0;

  constructor(endpoint: Endpoint, config: HealthCheckRoute) {
    this.endpoint = endpoint;
    this.config = config;
    this.timer = setTimeout(() => this.probe(), randomShare() * Math.min(1000, config.everyMs));
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private probe(): void {
    let settled = false;
    const settle = (healthy: boolean): void => {
      if (settled) return;
      settled = true;
      this.note(healthy);
    };
    if (this.config.grpcService == null) this.askHttp(settle);
    else askGrpc(this.endpoint, this.config.grpcService, this.config.timeoutMs).then(settle, () => settle(false));
  }

  private askHttp(settle: (healthy: boolean) => void): void {
    const { host, port } = this.endpoint;
    const { path, timeoutMs } = this.config;
    const options = { host, port, path, agent: false, timeout: timeoutMs, headers: { 'user-agent': 'davy-health' } };
    const request = http.get(options, (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      settle(status >= 200 && status < 400);
    });
    const limit = setTimeout(() => request.destroy(), timeoutMs);
    request.on('timeout', () => request.destroy());
    request.on('error', () => settle(false));
    request.on('close', () => {
      clearTimeout(limit);
      settle(false);
    });
  }

  private note(healthy: boolean): void {
    if (this.stopped) return;
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
