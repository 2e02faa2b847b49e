/**
 * How a request ended without an answer: `refused` (nothing listens), `dns` (the name has no address), `connect` (any other way in which no
 * connection came about, the time-out included), `tls` (no secure connection), `local` (this machine has no ports, descriptors or memory
 * left), `reset` (the connection ended before the whole answer), `bad-response` (what came is no HTTP/1.1).
 */
export type TransportFailure = 'refused' | 'dns' | 'connect' | 'tls' | 'local' | 'reset' | 'bad-response';

/** Also those that waited until their time-out: for a whole answer, or for one of the generator's own connections (`pool`). */
export type Unanswered = TransportFailure | 'timeout' | 'pool';

const byCode: ReadonlyMap<string, TransportFailure> = new Map([
  ['ECONNREFUSED', 'refused'],
  ['ENOTFOUND', 'dns'],
  ['EMFILE', 'local'],
  ['ENFILE', 'local'],
  ['ENOBUFS', 'local'],
  ['ENOMEM', 'local'],
  ['EADDRNOTAVAIL', 'local'],
  ['EADDRINUSE', 'local'],
  ['EHOSTUNREACH', 'connect'],
  ['ENETUNREACH', 'connect'],
  ['ETIMEDOUT', 'connect'],
]);

/** Why a connection did not come about. `reached`: the server's port had answered, so what failed is TLS. */
export function connectFailure(code: string | undefined, reached: boolean): TransportFailure {
  const known = byCode.get(code ?? '');
  if (known !== undefined) return known;
  // getaddrinfo(3): EAI_AGAIN, EAI_NODATA and their like.
  if (code?.startsWith('EAI_')) return 'dns';
  return reached ? 'tls' : 'connect';
}
