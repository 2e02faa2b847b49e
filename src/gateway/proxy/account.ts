import { limits } from '../limits.ts';
import { stamp } from '../net/now.ts';
import type { Places } from '../quota/quota.ts';
import { randomShare } from '../random.ts';
import { noteOutcome } from '../route/ejection.ts';
import type { Arm, Endpoint } from '../route/endpoint.ts';
import type { Route } from '../route/route.ts';
import { NO_GRPC_STATUS, partsOf } from '../stats/answer-code.ts';
import type { CallerStats } from '../stats/caller-stats.ts';
import { F } from '../stats/flags.ts';
import type { Flight } from '../stats/in-flight.ts';
import type { InstanceStats } from '../stats/instance-stats.ts';
import { ABORTED, isFailure, isNeutral, type Outcome, OWN } from '../stats/outcome.ts';
import { writeAccessLine } from './access-log.ts';
import type { OwnAnswer } from './answer.ts';
import { GrpcCall } from './grpc-call.ts';
import type { Outgoing } from './outgoing.ts';

const NONE: Endpoint[] = [];

/** The request that the account is of. */
export interface AccountOwner {
  /** Its version gets no more traffic, and its time to finish is over. */
  withdraw(): void;
}

/**
 * What one request takes and leaves behind: which arm and instances it used, what it counts as, and the shares of budgets that it holds. Every
 * path through an exchange ends in `settle`, which gives back what is still held.
 */
export class Account implements Flight {
  nextFlight: Flight | null = null;
  previousFlight: Flight | null = null;
  route!: Route;
  caller!: CallerStats;
  readonly call = new GrpcCall();
  arm!: Arm;
  byHeader = false;
  /** Where the present try goes; null between tries. */
  endpoint: Endpoint | null = null;
  /** Where the last finished try went, and how it ended. */
  lastEndpoint: Endpoint | null = null;
  lastOutcome: Outcome = 0;
  tried: Endpoint[] = NONE;
  tries = 0;
  /** Monotonic: the version's time runs from here. */
  startedMs = 0;
  /** Delay that injected faults added. */
  delayedMs = 0;
  /** The present try is a retry and counts against the budget. */
  private retrying = false;
  private counted = false;
  /** Its place among the requests in progress, where they are limited. */
  private place: Places | null = null;
  /** The present try went to its instance: no fault answered in its stead, or holds it yet. */
  dispatched = false;
  /** The head of its answer has come. */
  isAnswered = false;
  /** The request is whole and was sent: the version's time runs. */
  private runs = false;
  /** When the head came of an answer that goes on after it; 0: it has not come, or the whole answer came with it. */
  private headMs = 0;
  /** What goes on is a stream; and its status. */
  private isStream = false;
  private streamStatus = 0;
  /** The first try was counted before its end, as a stream or a tunnel. */
  private booked = false;
  private wasCut = false;
  private readonly owner: AccountOwner;

  constructor(owner: AccountOwner) {
    this.owner = owner;
  }

  open(route: Route, caller: CallerStats, nowMs: number): void {
    this.route = route;
    this.caller = caller;
    this.byHeader = false;
    this.endpoint = this.lastEndpoint = null;
    this.tried = NONE;
    this.tries = this.lastOutcome = this.delayedMs = 0;
    this.startedMs = nowMs;
    this.retrying = this.counted = false;
    this.dispatched = this.isAnswered = this.runs = this.booked = false;
    this.isStream = this.wasCut = false;
    this.headMs = 0;
  }

  /** The request is admitted: it counts as active from here. */
  admit(arm: Arm, byHeader: boolean): void {
    this.arm = arm;
    this.byHeader = byHeader;
    this.counted = true;
    this.place = this.route.state.limits.requests;
    this.route.state.budget.activeRequests++;
  }

  beginTry(endpoint: Endpoint): void {
    this.tries++;
    this.endpoint = endpoint;
    endpoint.inFlight++;
    this.dispatched = this.isAnswered = this.isStream = this.runs = false;
    this.headMs = 0;
    const stats = this.statsOf(endpoint);
    stats.flights.add(this);
    stats.departure?.noteBegin();
    if (this.tries > 1) return;
    stats.started++;
    this.noteExposure();
  }

  /** The present try goes to its instance now. `whole`: the whole request does. */
  dispatch(whole: boolean): void {
    this.dispatched = true;
    this.runs = whole;
  }

  /** The request is complete: the version's time runs from here, because a slow upload is the client's. */
  requestComplete(nowMs: number): void {
    if (!this.isStream) this.startedMs = nowMs;
    this.runs = this.dispatched;
  }

  /** The answer's head has come, and nothing more is to come. */
  noteAnswer(): void {
    this.isAnswered = true;
  }

  /** The answer's head has come. `isStream`: what the version took is known with it, and the rest may go on for hours. */
  noteHead(status: number, isStream: boolean): void {
    this.isAnswered = true;
    this.headMs = stamp();
    if (!isStream) return;
    this.isStream = true;
    this.streamStatus = status;
    this.endRetrying();
  }

  /** The connection was switched to another protocol: that is the request's outcome. It goes on to occupy its instance until `leave`. */
  beginTunnel(nowMs: number, out: Outgoing): void {
    const endpoint = this.endpoint as Endpoint;
    this.isAnswered = true;
    this.noteTry(endpoint, 101, nowMs);
    this.booked = true;
    this.endRetrying();
    this.finish(101, 101, F.none, nowMs, out);
  }

  /** The next try will be a retry, on another instance if there is one. */
  beginRetry(): void {
    if (this.lastEndpoint !== null) this.tried = [...this.tried, this.lastEndpoint];
    this.retrying = true;
    this.route.state.budget.activeRetries++;
  }

  /** Whether an instance that was not tried yet can be asked instead of the present one. */
  hasSibling(nowMs: number): boolean {
    const { endpoint } = this;
    return this.arm.hasOther(nowMs, endpoint === null ? this.tried : [...this.tried, endpoint]);
  }

  /** Books what a try did: the first try's counts, the outlier state, the load. */
  endTry(outcome: Outcome, nowMs: number): void {
    const endpoint = this.endpoint;
    if (endpoint === null) return;
    this.leave();
    this.noteTry(endpoint, outcome, nowMs);
  }

  private noteTry(endpoint: Endpoint, outcome: Outcome, nowMs: number): void {
    // What the judge reads: an injected delay is not the version's.
    if (this.tries === 1 && this.dispatched && !(this.booked && endedWell(outcome))) {
      this.countFirstTry(endpoint, outcome, nowMs);
    }
    this.lastEndpoint = endpoint;
    this.lastOutcome = outcome;
    this.noteBreaker(outcome, nowMs);
    this.noteOutlier(endpoint, outcome, nowMs);
  }

  private countFirstTry(endpoint: Endpoint, outcome: Outcome, nowMs: number): void {
    const stats = this.statsOf(endpoint);
    stats.firstTry.add(outcome, this.takenMs(nowMs) - this.delayedMs);
    if (!this.booked && this.isUnserved(outcome, nowMs)) stats.unserved.add(outcome);
  }

  /** Nothing of an answer came before the client left, or within the patience that the route has. */
  private isUnserved(outcome: Outcome, nowMs: number): boolean {
    return outcome !== OWN && ((!this.isAnswered && outcome === ABORTED) || this.cameLate(nowMs));
  }

  /** Whether the answer's head came later than the route has patience for, or is late now. */
  private cameLate(nowMs: number): boolean {
    const untilMs = this.headMs > 0 ? this.headMs : nowMs;
    return untilMs - this.startedMs - this.delayedMs > this.route.patienceMs;
  }

  /** Since the version's time began; of a stream, up to its head. */
  private takenMs(nowMs: number): number {
    return (this.isStream ? this.headMs : nowMs) - this.startedMs;
  }

  isOverdue(nowMs: number): boolean {
    return this.isUncounted && this.runs && this.cameLate(nowMs);
  }

  get isUncounted(): boolean {
    return this.tries === 1 && !this.booked;
  }

  ageMs(nowMs: number): number {
    return this.runs || this.isStream ? this.takenMs(nowMs) - this.delayedMs : -1;
  }

  countStream(nowMs: number): void {
    const { endpoint } = this;
    if (endpoint === null || !this.isUncounted || !this.isStream) return;
    if (nowMs - this.headMs < limits.streamMs) return;
    this.countFirstTry(endpoint, this.streamStatus, nowMs);
    this.booked = true;
  }

  cut(): void {
    this.wasCut = true;
    this.owner.withdraw();
  }

  /** The instance is no longer occupied: the try is over, or the tunnel. */
  leave(): void {
    const { endpoint } = this;
    if (endpoint === null) return;
    this.endpoint = null;
    endpoint.inFlight--;
    const { flights, departure } = this.statsOf(endpoint);
    flights.remove(this);
    departure?.noteEnd(this.wasCut);
    this.endRetrying();
  }

  private endRetrying(): void {
    if (this.retrying) this.route.state.budget.activeRetries--;
    this.retrying = false;
  }

  private noteBreaker(outcome: Outcome, nowMs: number): void {
    const { breaker } = this.route.config;
    if (breaker == null) return;
    if (isNeutral(outcome)) this.route.state.breaker.releaseProbe();
    else this.route.state.breaker.note(isFailure(outcome), breaker, nowMs);
  }

  private noteOutlier(endpoint: Endpoint, outcome: Outcome, nowMs: number): void {
    const { ejection } = this.route.config;
    if (ejection === null || isNeutral(outcome)) return;
    if (!isFailure(outcome)) {
      endpoint.outlier.consecutiveFailures = 0;
      return;
    }
    const count = this.arm.endpoints.length;
    const context = { count, othersOut: this.arm.countOut(nowMs), nowMs, random: randomShare() };
    noteOutcome(endpoint.outlier, true, ejection, context);
  }

  private statsOf(endpoint: Endpoint): InstanceStats {
    return this.byHeader ? endpoint.headerStats : endpoint.weightStats;
  }

  /** The request's final outcome. `status` is what the client got, 0 for nothing. */
  finish(outcome: Outcome, status: number, flag: number, nowMs: number, out: Outgoing | null): void {
    const endpoint = this.lastEndpoint;
    if (endpoint === null) return;
    const durationMs = this.takenMs(nowMs);
    const code = this.call.codeOf(status);
    const bin = this.statsOf(endpoint).finish(outcome, code, flag, durationMs);
    this.caller.finish(outcome, code, durationMs, nowMs, bin);
    this.log(endpoint, code, flag, nowMs, out);
    const exposure = this.route.state.exposure;
    if (exposure !== null && this.isExposed() && isFailure(outcome)) {
      exposure.failures++;
      exposure.firstFailureAtMs ??= Date.now();
    }
  }

  /** An answer that the gateway made by itself, for the exposition and the log. */
  noteOwn(answer: Pick<OwnAnswer, 'status' | 'cause'>, flag: number, nowMs: number, out: Outgoing | null): void {
    this.call.reply(answer);
    const { status } = answer;
    const code = this.call.codeOf(status);
    const key = `${code} ${flag}`;
    const { ownCodes } = this.route.state;
    ownCodes.set(key, (ownCodes.get(key) ?? 0) + 1);
    this.caller.finish(status, code, nowMs - this.startedMs, nowMs, -1);
    this.log(null, code, flag, nowMs, out);
  }

  private log(endpoint: Endpoint | null, code: number, flag: number, nowMs: number, out: Outgoing | null): void {
    const share = this.route.config.accessLogShare ?? 0;
    if (share === 0 || randomShare() >= share) return;
    const { status, grpcStatus } = partsOf(code);
    writeAccessLine({
      service: this.route.config.service,
      version: endpoint?.version ?? null,
      instance: endpoint?.id ?? null,
      cohort: this.byHeader ? 'header' : 'weight',
      head: out?.head() ?? null,
      status,
      ...(grpcStatus === null ? {} : { grpcStatus: grpcStatus === NO_GRPC_STATUS ? null : grpcStatus }),
      flag,
      durationMs: nowMs - this.startedMs,
      tries: this.tries,
    });
  }

  private noteExposure(): void {
    const exposure = this.route.state.exposure;
    if (exposure === null || !this.isExposed()) return;
    const wallMs = Date.now();
    exposure.requests++;
    exposure.firstRequestAtMs ??= wallMs;
    exposure.lastRequestAtMs = wallMs;
  }

  /** Whether this request counts for the release whose exposure is kept now. */
  private isExposed(): boolean {
    const { route } = this;
    return this.arm === route.canary && route.state.exposure?.release === route.config.canary?.release;
  }

  settle(): void {
    this.leave();
    this.endRetrying();
    if (this.counted) this.route.state.budget.activeRequests--;
    this.counted = false;
    this.place?.give();
    this.place = null;
    this.lastEndpoint = null;
    this.tried = NONE;
  }
}

/** A stream that was counted already counts once more when it breaks; a client that has heard enough is no fault. */
function endedWell(outcome: Outcome): boolean {
  return isNeutral(outcome) || (outcome > 0 && outcome < 400);
}
