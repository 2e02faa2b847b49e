/** Response flags as Envoy's access log names them (https://www.envoyproxy.io/docs, access logging, %RESPONSE_FLAGS%). */
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
] as const;

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
  /** A tunnel in which nothing moved for too long. */
  streamIdle: 16,
} as const;
