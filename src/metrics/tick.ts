/** What one look saw: counts of that interval, not totals. The judge's only view of traffic. */
export interface Tick {
  /** Seconds since the release's first look (or epoch seconds in replayed files); strictly rising. */
  t: number;
  /** Length of the interval in milliseconds, on the source's monotonic clock. */
  dtMs: number;
  /** Ascending upper edges in ms; the same for a whole release. */
  edges: number[];
  versions: Record<string, InstanceTick[]>;
}

export interface InstanceTick {
  instance: string;
  requests: number;
  errors: number;
  /** Requests slower than each edge; non-increasing. */
  over: number[];
  /** Age of the instance's process at the end of the interval, when known. */
  ageMs?: number;
}
