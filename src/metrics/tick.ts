/** What one look saw: counts of that interval, not totals. The judge's only view of traffic. */
export interface Tick {
  /** Seconds since the release's first look (or epoch seconds in replayed files); strictly rising. */
  t: number;
  /** Length of the interval in milliseconds, on the source's monotonic clock. */
  dtMs: number;
  /** Ascending upper edges in ms; the same for a whole release. */
  edges: number[];
  versions: Record<string, InstanceTick[]>;
  /**
   * Present where clients are dealt to versions and keep their place (a sticky split): then the requests of an arm say nothing of the split.
   * Absent: every request is dealt by itself.
   */
  clients?: ClientTick;
}

export interface ClientTick {
  /** By version: clients that got a place in this interval and were sent there. One that keeps no cookie is dealt anew with each request. */
  dealt: Record<string, number>;
  /** Requests whose place is the canary's and that went to stable, because no instance of the canary was fit. */
  diverted: number;
}

export interface InstanceTick {
  instance: string;
  /** Outcomes that became known in the interval: requests that ended, streams that were answered. */
  requests: number;
  errors: number;
  /** Requests slower than each edge; non-increasing. */
  over: number[];
  /** Requests sent to the instance in the interval, answered or not. Absent: as many as `requests`, which are counted when they end. */
  started?: number;
  /**
   * Change, over the interval, in the number of requests in progress that have waited for longer than each edge; negative where such
   * requests ended. `over[j] + waiting[j]` of `requests + waiting[j]` requests that became known to be slower than the edge or not are slower.
   * Absent: zeros.
   */
  waiting?: number[];
  /** Requests in progress at the end of the interval of whose answer not even the head has come. Absent: 0, or unknown. */
  unanswered?: number;
  /**
   * Requests that are lost: failed, or without any answer in time (half of the route's time, a second at least, or until the client left).
   * `errors + unserved` of `requests + overdue` requests became known to be lost or not in the interval and are lost: `overdue` is the change in
   * the number of those that wait for too long already, and both may be negative, where such requests ended. Absent: 0.
   */
  unserved?: number;
  overdue?: number;
  /** Age of the instance's process at the end of the interval, when known. */
  ageMs?: number;
}
