/** Counts of two arms over the same time. */
export interface TwoSamples {
  nc: number;
  xc: number;
  ns: number;
  xs: number;
}

const ROUNDS = 60;

/**
 * How little chance explains that the canary's rate exceeds `ratio` times stable's plus `plus`, in nats: the generalised
 * likelihood ratio of two Poisson counts, 0 when it does not exceed. Stable's rate is as uncertain as its sample is small.
 */
export function worseNats({ nc, xc, ns, xs }: TwoSamples, ratio: number, plus: number): number {
  if (nc <= 0 || ns <= 0) return 0;
  const own = xc / nc;
  if (own <= (ratio * xs) / ns + plus) return 0;
  const free = poisson(xc, xc) + poisson(xs, xs);
  // On the boundary own = ratio * rate + plus the likelihood has one peak in stable's rate.
  let low = xs / ns;
  let high = Math.max(low, own / ratio);
  const at = (rate: number): number => poisson(xc, nc * (ratio * rate + plus)) + poisson(xs, ns * rate);
  for (let round = 0; round < ROUNDS; round++) {
    const a = low + (high - low) / 3;
    const b = high - (high - low) / 3;
    if (at(a) < at(b)) low = a;
    else high = b;
  }
  return Math.max(0, free - at((low + high) / 2));
}

/** ln of the Poisson probability of `x` at `mean`, up to what depends on `x` alone. */
function poisson(x: number, mean: number): number {
  if (mean <= 0) return x > 0 ? Number.NEGATIVE_INFINITY : 0;
  return x * Math.log(mean) - mean;
}
