import type { Cohort } from '../../metrics/source.ts';
import type { Departure } from '../route/departures.ts';
import { isGrpcCode } from './answer-code.ts';
import { FLAG_RADIX } from './flags.ts';
import { FlightList, type InFlightData } from './in-flight.ts';
import { type Outcome, OutcomeTally } from './outcome.ts';
import type { InstanceReport } from './report.ts';
import { UnservedTally } from './unserved.ts';

/** Everything counted about one instance in one cohort. */
export class InstanceStats {
  readonly instance: string;
  readonly version: string;
  readonly cohort: Cohort;
  readonly outcome: OutcomeTally;
  readonly firstTry: OutcomeTally;
  /** Of the counted first tries, the ones that got no answer in time. */
  readonly unserved = new UnservedTally();
  /** First tries that were sent here, counted when they begin: what an arm gets is read from these, not from answers. */
  started = 0;
  /** What occupies the instance now. */
  readonly flights = new FlightList();
  /** Set while the instance's version gets no more traffic in this cohort. */
  departure: Departure | null = null;
  /** Of `outcome`, the gRPC calls; null while there was none. */
  private calls: OutcomeTally | null = null;
  /** Requests by `code * FLAG_RADIX + flag`, what the client got as `answerCode` has it. */
  readonly codes = new Map<number, number>();
  requestBytes = 0;
  responseBytes = 0;

  constructor(instance: string, version: string, cohort: Cohort, edgesMs: readonly number[]) {
    this.instance = instance;
    this.version = version;
    this.cohort = cohort;
    this.outcome = new OutcomeTally(edgesMs);
    this.firstTry = new OutcomeTally(edgesMs);
  }

  /** Returns the bin that the duration went into. */
  finish(outcome: Outcome, code: number, flag: number, durationMs: number): number {
    const bin = this.outcome.add(outcome, durationMs);
    if (isGrpcCode(code)) {
      this.calls ??= new OutcomeTally([...this.outcome.edges]);
      this.calls.count(outcome, durationMs, bin);
    }
    const key = code * FLAG_RADIX + flag;
    this.codes.set(key, (this.codes.get(key) ?? 0) + 1);
    return bin;
  }

  rebin(edgesMs: readonly number[]): void {
    this.outcome.rebin(edgesMs);
    this.calls?.rebin(edgesMs);
    this.firstTry.rebin(edgesMs);
  }

  report(nowMs: number): InstanceReport {
    const { instance, version, cohort, started } = this;
    const inFlight = this.inFlight(nowMs);
    return {
      instance,
      version,
      cohort,
      outcome: this.outcome.data(),
      ...(this.calls === null ? {} : { calls: this.calls.data() }),
      firstTry: this.firstTry.data(),
      codes: [...this.codes],
      codeRadix: FLAG_RADIX,
      started,
      inFlight,
      unserved: this.unserved.data(),
    };
  }

  /** Streams that count as answered by now are counted on the way: no timer of theirs is needed, since nobody asks in between. */
  private inFlight(nowMs: number): InFlightData {
    const data: InFlightData = {
      requests: this.flights.size,
      unanswered: 0,
      overdue: 0,
      bins: new Array<number>(this.firstTry.bins.length).fill(0),
    };
    this.flights.forEach((flight) => {
      if (!flight.isAnswered) data.unanswered++;
      if (flight.isOverdue(nowMs)) data.overdue++;
      flight.countStream(nowMs);
      const ageMs = flight.isUncounted ? flight.ageMs(nowMs) : -1;
      if (ageMs >= 0) data.bins[this.firstTry.binOf(ageMs)]!++;
    });
    return data;
  }
}
