/** Cumulative counters as the data plane keeps them; they restart at 0 with a new `bootId`. */
export interface CounterSnapshot {
  bootId: string;
  /** Wall clock and monotonic stamp of the reading, both of the process that counted. */
  atMs: number;
  monoMs: number;
  services: ServiceCounters[];
}

export interface ServiceCounters {
  service: string;
  /** Ascending upper edges (ms); `over[i]` counts requests slower than `edgesMs[i]`. */
  edgesMs: number[];
  instances: InstanceCounters[];
  /** Answers that the gateway made itself, by cause; never an error of a version. */
  own: OwnAnswers;
  /** Present while clients, not requests, are dealt to versions. */
  clients?: ClientCounters;
  /** By who asked, where the source can tell. */
  callers?: CallerCounters[];
}

/** A sticky split: each client is dealt a place once and keeps it. */
export interface ClientCounters {
  /** By version: places dealt, that is requests that came without one. */
  dealt: Record<string, number>;
  /** Requests whose place is the canary's and that went to stable, because no instance of the canary was fit. */
  diverted: number;
}

/** What one caller got from a service, the gateway's own answers included. */
export interface CallerCounters {
  caller: string;
  /** A service of the table; a client that gave no name (`external`); a name that no service has (`unknown`). */
  kind: 'service' | 'external' | 'unknown';
  outcome: OutcomeCounts;
  /** Wall clock (ms) of the last answer. */
  lastAtMs: number;
}

/**
 * How a request came to its version. Only `weight` takes part in the statistics and in the split:
 * people who send the canary header choose themselves.
 */
export type Cohort = 'weight' | 'header';

export interface InstanceCounters {
  instance: string;
  version: string;
  cohort: Cohort;
  /** Final outcomes of client requests. */
  outcome: OutcomeCounts;
  /** First tries only: what the judge reads, so that retries neither hide nor inflate failures. */
  firstTry: OutcomeCounts;
  /** First tries sent to the instance, answered or not. Absent: the source counts requests when they end, and `firstTry.requests` stands for it. */
  started?: number;
  /** What is in progress at the moment of the reading: no count, a gauge. Absent: unknown, and read as nothing. */
  waiting?: WaitingCounts;
  /** Of `firstTry`, what got no answer in time. Absent: unknown, and read as nothing. */
  unserved?: UnservedCounts;
}

/**
 * First tries of whose answer nothing came in time: before the client left, or within half of the time that the route gives (a second at
 * least). By how they ended.
 */
export interface UnservedCounts {
  requests: number;
  status4xx: number;
  status5xx: number;
  timeouts: number;
  resets: number;
}

export interface WaitingCounts {
  /** Tries, streams and tunnels that occupy the instance. */
  requests: number;
  /** Of these, the ones of whose answer nothing has come, not even the head. */
  unanswered: number;
  /** First tries among these that have waited for too long already: they will be among `unserved` when they end. */
  overdue: number;
  /** First tries that are in no count of `firstTry` yet and have waited for longer than each edge. */
  over: number[];
}

/**
 * Outcomes, counted when they are known: a request's when it ends, a stream's (of events, or of gRPC messages) when it has been open for a
 * second or has ended before. A stream's latency is the time to its head. In `firstTry` one that breaks later counts once more, as failed.
 */
export interface OutcomeCounts {
  requests: number;
  status2xx: number;
  status3xx: number;
  status4xx: number;
  status5xx: number;
  timeouts: number;
  /** Connection refused, reset or closed before a whole response head. */
  resets: number;
  /** The client left before its answer: part of `requests`, and of `over` with the time it had waited; no error. */
  aborted?: number;
  /**
   * The gateway ended them by a limit or for a want of its own: part of `requests`, and of `over` with the time they had taken, but no evidence
   * for or against the version.
   */
  unjudged?: number;
  /** Requests slower than each edge, timeouts and resets included. */
  over: number[];
  durationMsSum: number;
}

export interface OwnAnswers {
  limiter: number;
  breaker: number;
  injected: number;
  noUpstream: number;
  badRequest: number;
  /** Answers of instances that are larger than the gateway takes. */
  answerLimit: number;
  /** Kept connections that closed as a request was sent that must not be sent twice. */
  connectionClosed: number;
  /** No descriptor, port or memory was left in the gateway. */
  exhausted: number;
  /** Nothing moved for as long as the gateway keeps a silent call. */
  streamIdle: number;
  /** gRPC calls whose own deadline passed. */
  deadline: number;
  /** Requests that a version still had when its time to finish was over. */
  withdrawn: number;
}

/** Where counts come from. `read` rejects when the source is gone: no data is never a number. */
export interface MetricsSource {
  read(): Promise<CounterSnapshot>;
}
