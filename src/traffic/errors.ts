import { defineErrors } from '../lib/error.ts';

/** What can go wrong between the controller and a data plane. */
export const trafficErrors = defineErrors('traffic', {
  unreachable: {
    means: 'The data plane did not answer on its admin address.',
    next: 'See whether the gateway process runs (its log is in the run folder); `davy up` starts it anew.',
    exit: 6,
    http: 503,
  },
  'no-gateway': {
    means: 'The run folder names no running gateway.',
    next: 'Start it with `davy up`, or give the folder that holds its gateway.json.',
    exit: 6,
    http: 503,
  },
  unauthorized: {
    means: 'The data plane refused the token.',
    next: 'Another gateway may have taken the address; read gateway.json again.',
    exit: 5,
    http: 502,
  },
  'stale-generation': {
    means: 'The data plane has a newer routing table or has seen a newer controller.',
    next: 'Another controller is at work: read the state back, and stop the older controller.',
    exit: 1,
    http: 409,
  },
  'invalid-table': {
    means: 'The routing table contradicts itself or a limit; nothing was changed.',
    next: 'The sentence names the field; this is a defect of the controller or of a hand-written table.',
    exit: 2,
    http: 400,
  },
  'invalid-fault': {
    means: 'The data plane refused a fault; nothing was injected.',
    next: 'The sentence names the field and its limit.',
    exit: 2,
    http: 400,
  },
  'port-in-use': {
    means: 'The data plane could not listen on a port of the table; the old table stays in force.',
    next: 'Stop the program that listens there, or give the service another `listen` port.',
    exit: 2,
    http: 409,
  },
  'gateway-not-started': {
    means: 'The gateway process ended, or did not announce its admin address in time.',
    next: 'Read the end of log/gateway.log in the data folder.',
    exit: 1,
    http: 503,
  },
  'restart-failed': {
    means: 'No new gateway process took over; the one before goes on and no request was touched.',
    next: 'The sentence says why; log/gateway.log in the data folder says more. Ask again when it is settled.',
    exit: 1,
    http: 409,
  },
  'unexpected-answer': {
    means: 'The data plane answered with something that is not its protocol.',
    next: 'Check that the admin address belongs to a gateway of this version.',
    exit: 1,
    http: 502,
  },
});
