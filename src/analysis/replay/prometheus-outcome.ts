import { httpStatusOfGrpc } from '../../lib/grpc-status.ts';
import type { ErrorClass } from '../../spec/model.ts';

/** Envoy's response flags, and Davy's own two. A request of whose end the proxy itself is the cause says nothing about the version. */
const proxysOwn = new Set(['RL', 'UH', 'UO', 'FI', 'NR', 'SI', 'OM', 'UMSDR', 'GL', 'PC', 'UAEX', 'RLSE', 'IH']);
const timedOut = new Set(['UT', 'DT']);
const broken = new Set(['UF', 'UC', 'UR', 'UPE', 'LR', 'DF']);
/** The client left, or broke the protocol: no fault of the version. */
const clients = new Set(['DC', 'DPE', 'DR']);

/** Whether a series counts what the proxy ended by itself. */
export function isProxysOwn(labels: Record<string, string>): boolean {
  return flagsOf(labels).some((flag) => proxysOwn.has(flag));
}

/** The class of error that a series counts; null for none. */
export function outcomeOf(labels: Record<string, string>): ErrorClass | null {
  const flags = flagsOf(labels);
  if (flags.some((flag) => clients.has(flag))) return null;
  if (flags.some((flag) => timedOut.has(flag))) return 'timeout';
  if (flags.some((flag) => broken.has(flag))) return 'reset';
  const grpc = labels.grpc_response_status ?? '';
  const code = grpc === '' ? (labels.response_code ?? '') : String(httpStatusOfGrpc(grpc));
  if (code === '0') return 'reset';
  return /^5\d\d$/.test(code) ? '5xx' : /^4\d\d$/.test(code) ? '4xx' : null;
}

function flagsOf(labels: Record<string, string>): string[] {
  return (labels.response_flags ?? '').split(',');
}
