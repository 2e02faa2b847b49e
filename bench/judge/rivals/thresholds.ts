import { intervals, type Rule } from './rule.ts';

/** A sustained threshold ("> 1 % for 5 minutes"): every 30 s sample of 5 minutes lies above it; an empty sample does not. */
export function sustained({ maxErrorShare = 0.01, seconds = 300 } = {}): Rule {
  const sample = intervals(30);
  let above = 0;
  return {
    look(counts) {
      const found = sample(counts);
      if (found === null) return false;
      above = found.xc > maxErrorShare * found.nc ? above + found.dt : 0;
      return above >= seconds;
    },
  };
}

/** A mean threshold ("the mean of 5 minutes is above 1 %"), looked at every 30 s. */
export function meanOf({ maxErrorShare = 0.01, seconds = 300 } = {}): Rule {
  const largest = largestMean(seconds);
  return { look: (counts) => largest(counts) > maxErrorShare };
}

/** The running mean of the last `seconds`, 0 until they are full; the statistic that the rule above compares. */
export function largestMean(seconds: number): (counts: Parameters<Rule['look']>[0]) => number {
  const sample = intervals(30);
  const window: { n: number; x: number }[] = [];
  const most = Math.round(seconds / 30);
  let n = 0;
  let x = 0;
  return (counts) => {
    const found = sample(counts);
    if (found === null) return 0;
    window.push({ n: found.nc, x: found.xc });
    n += found.nc;
    x += found.xc;
    if (window.length > most) {
      const gone = window.shift()!;
      n -= gone.n;
      x -= gone.x;
    }
    return window.length === most && n > 0 ? x / n : 0;
  };
}
