import { ascii, equalsNoCase } from './bytes.ts';

/** Header names the gateway acts on. Everything else is forwarded as it came. */
export const H = {
  other: 0,
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  keepAlive: 5,
  te: 6,
  upgrade: 7,
  proxyConnection: 8,
  proxyAuthorization: 9,
  proxyAuthenticate: 10,
  expect: 11,
  forwarded: 12,
  forwardedFor: 13,
  forwardedProto: 14,
  forwardedHost: 15,
  traceparent: 16,
  tracestate: 17,
  idempotencyKey: 18,
  date: 19,
  retryAfter: 20,
  cookie: 21,
  causeHeader: 22,
  caller: 23,
  maxForwards: 24,
} as const;

const KNOWN: [string, number][] = [
  ['host', H.host],
  ['connection', H.connection],
  ['content-length', H.contentLength],
  ['transfer-encoding', H.transferEncoding],
  ['keep-alive', H.keepAlive],
  ['te', H.te],
  ['upgrade', H.upgrade],
  ['proxy-connection', H.proxyConnection],
  ['proxy-authorization', H.proxyAuthorization],
  ['proxy-authenticate', H.proxyAuthenticate],
  ['expect', H.expect],
  ['forwarded', H.forwarded],
  ['x-forwarded-for', H.forwardedFor],
  ['x-forwarded-proto', H.forwardedProto],
  ['x-forwarded-host', H.forwardedHost],
  ['traceparent', H.traceparent],
  ['tracestate', H.tracestate],
  ['idempotency-key', H.idempotencyKey],
  ['date', H.date],
  ['retry-after', H.retryAfter],
  ['cookie', H.cookie],
  ['x-davy-cause', H.causeHeader],
  ['x-envoy-downstream-service-cluster', H.caller],
  ['max-forwards', H.maxForwards],
];

/** Candidates by length, so that most names are told apart by one look. */
const LONGEST = Math.max(...KNOWN.map(([name]) => name.length));
const BY_LENGTH: { name: Buffer; id: number }[][] = Array.from({ length: LONGEST + 1 }, () => []);
for (const [name, id] of KNOWN) BY_LENGTH[name.length]!.push({ name: ascii(name), id });

export function identify(buf: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > LONGEST) return H.other;
  const candidates = BY_LENGTH[length]!;
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!;
    if ((buf[start]! | 32) === candidate.name[0] && equalsNoCase(buf, start, end, candidate.name)) return candidate.id;
  }
  return H.other;
}

export const M = {
  other: 0,
  get: 1,
  head: 2,
  options: 3,
  post: 4,
  put: 5,
  delete: 6,
  connect: 7,
  trace: 8,
  patch: 9,
} as const;
/** Method names are case-sensitive (RFC 9110 section 9.1). */
const METHODS: [Buffer, number][] = (
  [
    ['GET', M.get],
    ['POST', M.post],
    ['HEAD', M.head],
    ['OPTIONS', M.options],
    ['PUT', M.put],
    ['DELETE', M.delete],
    ['CONNECT', M.connect],
    ['TRACE', M.trace],
    ['PATCH', M.patch],
  ] as [string, number][]
).map(([name, id]) => [ascii(name), id]);

/** GET, HEAD and OPTIONS: they change nothing (RFC 9110 section 9.2.1). */
export function isSafeMethod(method: number): boolean {
  return method === M.get || method === M.head || method === M.options;
}

export function identifyMethod(buf: Uint8Array, start: number, end: number): number {
  for (let i = 0; i < METHODS.length; i++) {
    const [name, id] = METHODS[i]!;
    if (name.length !== end - start) continue;
    let same = true;
    for (let j = 0; j < name.length && same; j++) same = buf[start + j] === name[j];
    if (same) return id;
  }
  return M.other;
}
