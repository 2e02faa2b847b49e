import { defineErrors } from '../lib/error.ts';

/** The `tunnel-…` ones say why `CONNECT` was not followed by a tunnel: the value of `x-davy-cause` is the name. */
export const gatewayErrors = defineErrors('gateway', {
  'tunnel-denied': {
    means:
      'CONNECT named a target that is not in `traffic.connect.allow`, or a name that leads to an address not allowed.',
    next: 'Add the target with its port to `allow`; set `private: true` when its name leads to an own network.',
    exit: 5,
    http: 403,
  },
  'tunnel-limit': {
    means:
      'As many tunnels as `traffic.connect.concurrent` allows are open, or the gateway is draining or has no descriptor left.',
    next: 'Try again after Retry-After; raise `concurrent` when this is the usual load.',
    exit: 6,
    http: 503,
  },
  'tunnel-unreachable': {
    means: 'The target of CONNECT could not be resolved, or refused the connection.',
    next: 'See whether the target listens, and whether its name resolves where the gateway runs.',
    exit: 6,
    http: 502,
  },
  'tunnel-timeout': {
    means: 'The target of CONNECT could not be reached within `traffic.connect.timeout`.',
    next: 'See whether a firewall drops the packets; raise `timeout` for a target that is far away.',
    exit: 6,
    http: 504,
  },
  'unfit-runtime': {
    means: 'This Node.js does something another way than the gateway needs it, and there is no other way to do it.',
    next: 'Run the gateway with the Node.js that Davy brings (package.json names its version).',
    exit: 1,
    http: 500,
  },
});
