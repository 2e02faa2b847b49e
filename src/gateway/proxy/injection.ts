import type { FaultBook, FaultHit, FaultTarget, HeldRequest } from '../../traffic/fault-book.ts';
import type { FaultRule } from '../../traffic/faults.ts';
import type { Channel } from '../net/channel.ts';
import { stamp } from '../net/now.ts';
import type { Endpoint } from '../route/endpoint.ts';
import { TIMEOUT } from '../stats/outcome.ts';
import type { Failure } from './failure.ts';
import { Throttle } from './throttle.ts';

/** Filled and read within one call. */
const target: FaultTarget = { service: '', version: '', instance: '', zone: null };

/** The fault that hits a try that is about to go to an instance; null: none does. */
export function strike(faults: FaultBook, service: string, endpoint: Endpoint, nowMs: number): FaultHit | null {
  target.service = service;
  target.version = endpoint.version;
  target.instance = endpoint.id;
  target.zone = endpoint.zone;
  return faults.hit(target, nowMs);
}

/**
 * What a rehearsed fault does to the present try: holds the request back, or slows its answer down. It is registered with the fault and ends with it,
 * whatever ends first: the fault, its lease, the hold, or the try. There is one timer at most, and none once the try is over.
 */
export class Injection implements HeldRequest {
  /** The fault that hit the present try; it stays named when it is over. */
  rule: FaultRule | null = null;
  private hit: FaultHit | null = null;
  private throttle: Throttle | null = null;
  private timer: NodeJS.Timeout | null = null;
  private sinceMs = 0;
  private untilMs = 0;
  private readonly goOn: (heldMs: number) => void;

  /** `goOn`: the request that was held back goes to its instance now. */
  constructor(goOn: (heldMs: number) => void) {
    this.goOn = goOn;
  }

  /** A try begins that no fault has hit yet. */
  reset(): void {
    this.stop();
    this.rule = null;
  }

  /** Holds the request back for `delayMs`; Infinity: until its own time is over. */
  holdBack(hit: FaultHit, delayMs: number, nowMs: number): void {
    this.begin(hit);
    this.sinceMs = nowMs;
    this.untilMs = nowMs + delayMs;
    this.wait(nowMs);
  }

  /** The answer to come is to go through what this returns. */
  slowDown(hit: FaultHit, client: Channel, bytesPerSecond: number, onRoom: () => void): Throttle {
    this.begin(hit);
    this.throttle = new Throttle(client, bytesPerSecond, hit, onRoom);
    return this.throttle;
  }

  /** The fault kept the request from its instance, or took so much of its time that the rest was too short. */
  isCauseOf({ outcome }: Failure, dispatched: boolean): boolean {
    const { rule } = this;
    return rule !== null && (!dispatched || (rule.action.kind === 'delay' && outcome === TIMEOUT));
  }

  private begin(hit: FaultHit): void {
    this.stop();
    this.hit = hit;
    this.rule = hit.rule;
    hit.hold(this);
  }

  private wait(nowMs: number): void {
    const { endsMs } = this.hit as FaultHit;
    const waitMs = Math.ceil(Math.min(this.untilMs, endsMs) - nowMs);
    this.timer = setTimeout(() => this.wake(), waitMs);
  }

  private wake(): void {
    const nowMs = stamp();
    // A fault that was prolonged meanwhile goes on.
    if (nowMs < this.untilMs && nowMs < (this.hit as FaultHit).endsMs) this.wait(nowMs);
    else this.leave(nowMs);
  }

  release(): void {
    const { throttle } = this;
    if (throttle === null) {
      this.leave(stamp());
    } else {
      this.stop();
      throttle.release();
    }
  }

  /** Only a delay that ran to its end is one that can be measured. */
  private leave(nowMs: number): void {
    const hit = this.hit as FaultHit;
    const heldMs = nowMs - this.sinceMs;
    if (nowMs >= this.untilMs) hit.added(heldMs);
    this.stop();
    this.goOn(heldMs);
  }

  /** The try is over or given up; of a throttle, the answer. */
  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.hit?.letGo(this);
    this.hit = this.throttle = null;
  }
}
