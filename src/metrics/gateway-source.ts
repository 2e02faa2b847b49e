import { DavyError } from '../lib/error.ts';
import { trafficErrors } from '../traffic/errors.ts';
import { type GatewayAddress, GatewayAdmin } from '../traffic/gateway-admin.ts';
import type { CounterSnapshot, MetricsSource } from './source.ts';

/** The built-in gateway as a source of counts. */
export interface GatewayMetrics extends MetricsSource {
  /** The gateway's own exposition, in Prometheus' text format. */
  text(): Promise<string>;
  close(): Promise<void>;
}

/**
 * Reads the gateway's counters over its admin address. Whatever is not a whole reading rejects with an error of
 * `traffic/`: it never becomes an empty one.
 */
export function connectGatewayMetrics(where: GatewayAddress): GatewayMetrics {
  const admin = new GatewayAdmin(where);
  return {
    async read() {
      const snapshot = await admin.call('GET', '/counters');
      if (isSnapshot(snapshot)) return snapshot;
      throw new DavyError(
        trafficErrors['unexpected-answer'],
        'The gateway answered with something that is not its counters.',
      );
    },
    text: () => admin.text('/metrics'),
    close: () => admin.close(),
  };
}

function isSnapshot(value: unknown): value is CounterSnapshot {
  if (typeof value !== 'object' || value === null) return false;
  const { bootId, atMs, monoMs, services } = value as Partial<CounterSnapshot>;
  return typeof bootId === 'string' && Number.isFinite(atMs) && Number.isFinite(monoMs) && Array.isArray(services);
}
