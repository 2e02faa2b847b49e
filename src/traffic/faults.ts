/**
 * Faults that a data plane injects into traffic, each a lease: it ends where it acts when its time is up, whether or not
 * anybody is left to end it. Repeating a rule with the same id prolongs it by `ttlMs` from then; a restarted data plane
 * has none. Faults stand beside the routing table, so that a table in force never brings an old fault back.
 *
 * The gateway's admin calls: `PUT /faults` {rules}, `POST /faults/clear` {ids} or {all: true}, `GET /faults`.
 */
export type FaultAction =
  /** The request waits this long before it is forwarded, or until the fault ends. */
  | { kind: 'delay'; delayMs: number }
  /** The gateway answers by itself (200 to 599), with `x-fault-injected: <id>`. */
  | { kind: 'abort'; status: number }
  /** The request is neither forwarded nor answered before its time-out or the end of the fault: as if packets were dropped. */
  | { kind: 'blackhole' }
  /** The answer's body is passed on no faster than this while the fault lasts. */
  | { kind: 'bandwidth'; bytesPerSecond: number };

/** Which tries are hit. Null means any; all that are given must hold. */
export interface FaultScope {
  service: string;
  version: string | null;
  /** Instance ids. */
  instances: string[] | null;
  zone: string | null;
  /** Share of the matching requests, 0 < share <= 1. */
  share: number;
}

export interface FaultRule {
  id: string;
  action: FaultAction;
  scope: FaultScope;
  /** 1 ms to 1 h from now. */
  ttlMs: number;
}

/** What a fault did so far, measured where it acts. Kept for a minute after the fault has ended. */
export interface FaultReport {
  id: string;
  /** 0 when it has ended. */
  expiresInMs: number;
  /** For how long it was in force in this data plane, its interruptions left out; of several processes the shortest. */
  inForceMs: number;
  /** How often it came into force: 1, and one more each time that it was put in force again after its end. */
  begun: number;
  /** Requests in scope, and those that were hit. */
  matched: number;
  injected: number;
  /** Requests whose delay is over, and what was really added to them, by the data plane's monotonic clock. */
  delayed: number;
  addedMsSum: number;
  addedMsMax: number;
  /** Requests that it holds back or slows down now; 0 soon after its end, or something is wrong. */
  held: number;
}

export interface FaultPlane {
  /** All or none; rejects with `traffic/invalid-fault`. */
  inject(rules: FaultRule[]): Promise<void>;
  clear(ids: string[] | 'all'): Promise<void>;
  reports(): Promise<FaultReport[]>;
}
