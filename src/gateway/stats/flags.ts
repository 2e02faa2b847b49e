/**
 * Response flags as Envoy's access log names them (https://www.envoyproxy.io/docs, access logging, %RESPONSE_FLAGS%), and three of Davy's own at the
 * end, `GL`, `PC` and `VW`. The list only grows at its end: a successor reads the flags that the process before it counted by their place.
 */
export const FLAGS = [
  '-',
  'UF',
  'UC',
  'UT',
  'UH',
  'UO',
  'RL',
  'DI',
  'FI',
  'DC',
  'DPE',
  'UPE',
  'URX',
  'DT',
  'NR',
  'DF',
  'SI',
  'OM',
  'UMSDR',
  'GL',
  'PC',
  'VW',
] as const;

/** Counts by status and flag are keyed by `status * FLAG_RADIX + flag`. */
export const FLAG_RADIX = 32;

export const F = {
  none: 0,
  /** Connection to the upstream failed. */
  connectFailure: 1,
  /** The upstream closed before the answer was complete. */
  reset: 2,
  timeout: 3,
  noHealthyUpstream: 4,
  overflow: 5,
  rateLimited: 6,
  delayInjected: 7,
  faultInjected: 8,
  clientLeft: 9,
  clientProtocol: 10,
  upstreamProtocol: 11,
  retryLimit: 12,
  routeTimeout: 13,
  /** CONNECT to a target that is not allowed: there is no route to it. */
  noRoute: 14,
  /** The target's name could not be resolved. */
  dnsFailure: 15,
  /** A stream or a tunnel in which nothing moved for too long: the gateway's own limit. */
  streamIdle: 16,
  /** The gateway has no descriptor, port or memory left (Envoy: the overload manager terminated the request). */
  overload: 17,
  /** The deadline that a gRPC call brought with it has passed (Envoy: `grpc-timeout` as the maximum stream duration). */
  callDeadline: 18,
  /** Davy's own: an answer larger than the gateway takes. */
  gatewayLimit: 19,
  /** Davy's own: a kept connection closed as a request was sent that must not be sent twice. */
  connectionClosed: 20,
  /** Davy's own: the version gets no more traffic, and the request has outlived its time to finish. */
  withdrawn: 21,
} as const;
