import { messageOf } from '../lib/error.ts';
import type { HostAddress } from '../lib/host-address.ts';
import type { HealthProbe } from '../spec/model.ts';
import { askGrpc } from './grpc.ts';
import { askH2c } from './h2c.ts';
import { askHttp1 } from './http1.ts';
import { askTcp } from './tcp.ts';
import { failed } from './words.ts';

/**
 * What one question saw. `answered`: octets came back, whatever they said: such a process is alive. `says`: what went wrong, in words for
 * `davy status`; it may hold text of the instance (a gRPC message), at most 200 characters.
 */
export type ProbeResult = { ok: true } | { ok: false; answered: boolean; says: string };

/** Whom to ask, and how long everything may take, from connecting to the answer that decides. */
export interface ProbeTarget {
  /** Learns which of its addresses was reached: the same object may lead the traffic there. */
  host: HostAddress;
  port: number;
  timeoutMs: number;
}

/**
 * Asks one instance once whether it is able to serve, on a connection of its own. Never rejects. When `signal` aborts, the connection is
 * closed and the result says nothing.
 */
export async function ask(target: ProbeTarget, probe: HealthProbe, signal: AbortSignal): Promise<ProbeResult> {
  try {
    return await question(target, probe, AbortSignal.any([signal, AbortSignal.timeout(target.timeoutMs)]));
  } catch (error) {
    return failed(`the check failed: ${messageOf(error)}`, false);
  }
}

function question(target: ProbeTarget, probe: HealthProbe, within: AbortSignal): Promise<ProbeResult> {
  switch (probe.kind) {
    case 'http1':
      return askHttp1(target, probe.path, within);
    case 'h2c':
      return askH2c(target, probe.path, within);
    case 'grpc':
      return askGrpc(target, probe.service, within);
    case 'tcp':
      return askTcp(target, within);
  }
}
