/** What every rule sees of one tick: canary, stable, and a baseline of the canary's size (only Kayenta reads it). */
export interface Counts {
  /** Seconds at the end of the tick, and its length. */
  t: number;
  dt: number;
  nc: number;
  xc: number;
  ns: number;
  xs: number;
  nb: number;
  xb: number;
}

/** A rule that watches one release: true means "roll back now". */
export interface Rule {
  look(counts: Counts): boolean;
}

/** Adds ticks up to whole intervals of `seconds`; null while one is still open. */
export function intervals(seconds: number): (counts: Counts) => Counts | null {
  let open: Counts | null = null;
  return (counts) => {
    open = open === null ? { ...counts } : add(open, counts);
    if (open.dt < seconds) return null;
    const whole = open;
    open = null;
    return whole;
  };
}

function add(a: Counts, b: Counts): Counts {
  return {
    t: b.t,
    dt: a.dt + b.dt,
    nc: a.nc + b.nc,
    xc: a.xc + b.xc,
    ns: a.ns + b.ns,
    xs: a.xs + b.xs,
    nb: a.nb + b.nb,
    xb: a.xb + b.xb,
  };
}
