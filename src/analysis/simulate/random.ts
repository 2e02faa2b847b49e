/** Seeded random numbers: the same seed gives the same traffic on every machine. sfc32 by Chris Doty-Humphrey (PractRand). */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  normal(): number;
  poisson(mean: number): number;
  binomial(n: number, p: number): number;
}

/** Above this mean a rounded normal stands in for Poisson and binomial counts. */
const NORMAL_FROM = 40;

export function randomOf(seed: number): Random {
  let a = 0x9e3779b9 ^ seed;
  let b = 0x243f6a88 ^ Math.imul(seed, 0x85ebca6b);
  let c = 0xb7e15162;
  let d = 1;
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 4294967296;
  };
  for (let i = 0; i < 15; i++) next();

  const normal = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());

  const poisson = (mean: number): number => {
    if (mean <= 0) return 0;
    if (mean > NORMAL_FROM) return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal()));
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = next(); product > limit; product *= next()) count++;
    return count;
  };

  const skip = (scale: number): number => Math.floor(Math.log(1 - next()) / scale);

  /** Waiting times between successes: exact, and quick when few are expected. */
  const binomial = (n: number, p: number): number => {
    if (n <= 0 || p <= 0) return 0;
    if (p >= 1) return n;
    if (p > 0.5) return n - binomial(n, 1 - p);
    const mean = n * p;
    if (mean > NORMAL_FROM) {
      const value = Math.round(mean + Math.sqrt(mean * (1 - p)) * normal());
      return Math.max(0, Math.min(n, value));
    }
    const scale = Math.log1p(-p);
    let count = 0;
    for (let at = skip(scale); at < n; at += skip(scale) + 1) count++;
    return count;
  };

  return { next, normal, poisson, binomial };
}
