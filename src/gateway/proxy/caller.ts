import type { Head } from '../http1/head.ts';
import type { CallerStats, Callers } from '../stats/caller-stats.ts';
import { subjectNames } from '../tls/names.ts';

/**
 * Who asks over one connection: the service that the client's certificate names, else what `x-envoy-downstream-service-cluster`
 * says. Most connections carry one caller's requests, so the last answer is remembered and a request costs a comparison.
 * The header is a hint of an internal client, as in Envoy: it is counted by, and nothing is allowed for it.
 */
export class ConnectionCaller {
  private readonly certified: readonly string[] | null;
  private callers: Callers | null = null;
  private version = -1;
  private name: Buffer | null = null;
  private stats: CallerStats | null = null;

  /** `certified`: the names in the client's certificate; null when none was asked for. */
  constructor(certified: readonly string[] | null) {
    this.certified = certified;
  }

  of(head: Head, buf: Buffer, callers: Callers): CallerStats {
    if (head.callerAt === -1 && this.certified === null) return callers.external;
    if (this.callers !== callers || this.version !== callers.version) {
      this.callers = callers;
      this.version = callers.version;
      this.name = this.stats = null;
    }
    if (this.certified !== null) {
      this.stats ??= callers.certified(this.certified);
      return this.stats;
    }
    // Named twice: two hops disagree.
    if (head.callerAt < 0) return callers.unknown;
    return this.byHeader(buf, head.valueStart[head.callerAt]!, head.valueEnd[head.callerAt]!, callers);
  }

  private byHeader(buf: Buffer, start: number, end: number, callers: Callers): CallerStats {
    const { name } = this;
    if (this.stats !== null && name !== null && same(buf, start, end, name)) return this.stats;
    this.name = Buffer.from(buf.subarray(start, end));
    this.stats = callers.named(this.name.toString('latin1'));
    return this.stats;
  }
}

function same(buf: Buffer, start: number, end: number, name: Buffer): boolean {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (buf[start + i] !== name[i]) return false;
  return true;
}

/**
 * Service names that a certificate's subject alternative names may stand for, as Node.js prints them: a DNS name or its first
 * label (`shop`, `shop.internal`), and the last segment of a URI (`spiffe://trust.domain/ns/default/sa/shop`).
 */
export function certifiedNames(subjectAltName: string): string[] {
  return subjectNames(subjectAltName).flatMap(({ kind, name }) => {
    if (kind === 'DNS') return [name, name.split('.', 1)[0] ?? ''];
    if (kind === 'URI') return [name.slice(name.lastIndexOf('/') + 1)];
    return [];
  });
}
