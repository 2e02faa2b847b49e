import type { DataPlane, DataPlaneState } from './dataplane.ts';
import type { FaultPlane, FaultReport } from './faults.ts';
import { type GatewayAddress, GatewayAdmin } from './gateway-admin.ts';

export interface GatewayClient {
  dataPlane: DataPlane;
  faults: FaultPlane;
  /** Asks the gateway to end after it has answered what is in progress. */
  drain(): Promise<void>;
  /** Closes this side's connections. */
  close(): Promise<void>;
}

/**
 * Drives a gateway process. Given a run folder, the address is read again whenever a call cannot reach the gateway: a
 * gateway that was started anew has another port and token. Rejections are errors of `traffic/`.
 */
export function connectGateway(where: GatewayAddress): GatewayClient {
  const admin = new GatewayAdmin(where);
  const dataPlane: DataPlane = {
    capabilities: { canMirror: false, canHeaderMatch: true, canLease: true, minWeightStepBp: 1 },
    async apply(table) {
      await admin.call('PUT', '/table', table);
    },
    async renew(leaseIds) {
      const { lost } = (await admin.call('POST', '/leases', { ids: leaseIds })) as { lost: string[] };
      return lost;
    },
    async observe() {
      const state = (await admin.call('GET', '/state')) as DataPlaneState;
      // A gateway of an earlier version, adopted by this controller, does not tell the share apart from its lease.
      const services = state.services.map((route) => ({
        ...route,
        decidedWeightBp: route.decidedWeightBp ?? route.effectiveWeightBp,
      }));
      return { ...state, services };
    },
  };
  const faults: FaultPlane = {
    async inject(rules) {
      await admin.call('PUT', '/faults', { rules });
    },
    async clear(ids) {
      await admin.call('POST', '/faults/clear', ids === 'all' ? { all: true } : { ids });
    },
    async reports() {
      return ((await admin.call('GET', '/faults')) as { faults: FaultReport[] }).faults;
    },
  };
  return {
    dataPlane,
    faults,
    drain: async () => {
      await admin.call('POST', '/drain');
    },
    close: () => admin.close(),
  };
}
