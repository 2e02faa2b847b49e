import type { Rule } from './rule.ts';

/**
 * Lindon & Malek, "Anytime-valid inference for multinomial count data" (NeurIPS 2022, arXiv 2011.03567): errors are
 * labelled by arm; under equal rates they are multinomial with the arms' shares. Bayes factor of a Dirichlet(100 w)
 * alternative: Beta(a + C) / Beta(a) / prod w^C; rolls back at 1 / alpha when the canary has more than its share.
 */
export function lindonMalek({ alpha = 0.0035, share = 0.1, concentration = 100 } = {}): Rule {
  const a = [concentration * share, concentration * (1 - share)] as const;
  let xc = 0;
  let xs = 0;
  return {
    look(counts) {
      xc += counts.xc;
      xs += counts.xs;
      if (xc <= share * (xc + xs)) return false;
      const log = lnBeta(a[0] + xc, a[1] + xs) - lnBeta(a[0], a[1]) - xc * Math.log(share) - xs * Math.log(1 - share);
      return log >= -Math.log(alpha);
    },
  };
}

function lnBeta(p: number, q: number): number {
  return lnGamma(p) + lnGamma(q) - lnGamma(p + q);
}

/** ln Gamma for x >= 1: Stirling's series after shifting the argument to 10 and more. */
function lnGamma(x: number): number {
  let shift = 0;
  let y = x;
  while (y < 10) shift += Math.log(y++);
  const r = 1 / (y * y);
  return (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + (1 / 12 - r * (1 / 360 - r / 1260)) / y - shift;
}
