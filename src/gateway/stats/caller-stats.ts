import { limits } from '../limits.ts';
import { isGrpcCode } from './answer-code.ts';
import { type Outcome, OutcomeTally } from './outcome.ts';
import type { CallerReport } from './report.ts';

/** How a caller is known: a service of the table, a client that gave no name, or a name that no service has. */
export type CallerKind = 'service' | 'external' | 'unknown';

/** Status codes are 100 to 599. */
const STATUSES = 600;

/** What one caller got from one service, the gateway's own answers included: the caller's view of it. */
export class CallerStats {
  readonly caller: string;
  readonly kind: CallerKind;
  readonly outcome: OutcomeTally;
  /** Requests by the status that the caller got, 0 when none; gRPC calls by their code. */
  private readonly codes = new Float64Array(STATUSES);
  private readonly calls = new Map<number, number>();
  /** Monotonic time of the last answer. */
  private lastMs = 0;

  constructor(caller: string, kind: CallerKind, edgesMs: readonly number[]) {
    this.caller = caller;
    this.kind = kind;
    this.outcome = new OutcomeTally(edgesMs);
  }

  /**
   * `code`: as `answerCode` has it. `bin`: where an instance of the same service put the duration; -1 where no instance answered.
   */
  finish(outcome: Outcome, code: number, durationMs: number, nowMs: number, bin: number): void {
    if (bin < 0) this.outcome.add(outcome, durationMs);
    else this.outcome.count(outcome, durationMs, bin);
    if (isGrpcCode(code)) this.calls.set(code, (this.calls.get(code) ?? 0) + 1);
    else this.codes[code]!++;
    this.lastMs = nowMs;
  }

  report(monoMs: number, wallMs: number): CallerReport {
    const { caller, kind } = this;
    const lastAtMs = wallMs - (monoMs - this.lastMs);
    const codes = [...[...this.codes.entries()].filter(([, count]) => count > 0), ...this.calls];
    return { caller, kind, outcome: this.outcome.data(), codes, lastAtMs };
  }
}

/**
 * The callers of one service. Names come from clients, so only those of the table's services are kept, at most
 * `limits.callersPerService` of them; every other name counts as one caller, `unknown`.
 */
export class Callers {
  readonly external: CallerStats;
  readonly unknown: CallerStats;
  /** Rises when a name may mean another caller: what connections remember is looked up again. */
  version = 0;
  private names: ReadonlySet<string> = new Set();
  private readonly byName = new Map<string, CallerStats>();
  private edgesMs: readonly number[];

  constructor(edgesMs: readonly number[]) {
    this.edgesMs = edgesMs;
    this.external = new CallerStats('external', 'external', edgesMs);
    this.unknown = new CallerStats('unknown', 'unknown', edgesMs);
  }

  /** Takes on the names of the services in force. Counts of those that left stay, as long as there is room. */
  know(names: ReadonlySet<string>): void {
    this.names = names;
    this.version++;
  }

  rebin(edgesMs: readonly number[]): void {
    this.edgesMs = edgesMs;
    for (const stats of this.all()) stats.outcome.rebin(edgesMs);
  }

  named(name: string): CallerStats {
    if (!this.names.has(name)) return this.unknown;
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    if (this.byName.size >= limits.callersPerService) this.forgetGone();
    if (this.byName.size >= limits.callersPerService) return this.unknown;
    const stats = new CallerStats(name, 'service', this.edgesMs);
    this.byName.set(name, stats);
    return stats;
  }

  /** The service that a certificate's names stand for; a certificate of somebody else proves that it is none. */
  certified(names: readonly string[]): CallerStats {
    return this.named(names.find((name) => this.names.has(name)) ?? '');
  }

  private forgetGone(): void {
    for (const name of this.byName.keys()) if (!this.names.has(name)) this.byName.delete(name);
  }

  private all(): CallerStats[] {
    return [this.external, this.unknown, ...this.byName.values()];
  }

  reports(monoMs: number, wallMs: number): CallerReport[] {
    return this.all()
      .filter(({ outcome }) => outcome.requests > 0)
      .map((stats) => stats.report(monoMs, wallMs));
  }
}
