import type { Rule } from './rule.ts';

/** A two-proportion z-test at a nominal 1 % (one-sided) on all counts so far, looked at in every tick: peeking. */
export function peekedZTest({ critical = 2.326, minErrors = 5 } = {}): Rule {
  let nc = 0;
  let xc = 0;
  let ns = 0;
  let xs = 0;
  return {
    look(counts) {
      nc += counts.nc;
      xc += counts.xc;
      ns += counts.ns;
      xs += counts.xs;
      if (xc < minErrors || nc === 0 || ns === 0) return false;
      const p = (xc + xs) / (nc + ns);
      const spread = Math.sqrt(p * (1 - p) * (1 / nc + 1 / ns));
      return spread > 0 && (xc / nc - xs / ns) / spread > critical;
    },
  };
}
