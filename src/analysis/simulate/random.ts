/** Seeded random numbers: the same seed gives the same traffic on every machine. sfc32 by Chris Doty-Humphrey (PractRand). */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  normal(): number;
  poisson(mean: number): number;
  binomial(n: number, p: number): number;
}

/** Above this mean a rounded normal stands in for Poisson counts. */
const NORMAL_FROM = 40;
const REJECTION_FROM = 10;

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

  const binomial = (n: number, p: number): number => {
    if (n <= 0 || p <= 0) return 0;
    if (p >= 1) return n;
    if (p > 0.5) return n - binomial(n, 1 - p);
    return n * p < REJECTION_FROM ? byInversion(next, n, p) : byRejection(next, n, p);
  };

  return { next, normal, poisson, binomial };
}

/** Adds up probabilities from 0 until they pass a uniform number: exact, and quick for small means. */
function byInversion(next: () => number, n: number, p: number): number {
  const odds = p / (1 - p);
  let rest = next();
  let probability = Math.exp(n * Math.log1p(-p));
  for (let x = 0; x < n; x++) {
    if (rest <= probability) return x;
    rest -= probability;
    probability *= (odds * (n - x)) / (x + 1);
    if (probability < 1e-300) return x;
  }
  return n;
}

/** Transformed rejection: algorithm BTRS of Hörmann (1993), "The generation of binomial random variates"; exact for n p >= 10. */
function byRejection(next: () => number, n: number, p: number): number {
  const spread = Math.sqrt(n * p * (1 - p));
  const b = 1.15 + 2.53 * spread;
  const a = -0.0873 + 0.0248 * b + 0.01 * p;
  const c = n * p + 0.5;
  const vr = 0.92 - 4.2 / b;
  for (;;) {
    const u = next() - 0.5;
    const us = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / us + b) * u + c);
    const v = next();
    if (us >= 0.07 && v <= vr) return k;
    if (k < 0 || k > n) continue;
    const odds = p / (1 - p);
    const mode = Math.floor((n + 1) * p);
    const alpha = (2.83 + 5.1 / b) * spread;
    const bound =
      (mode + 0.5) * Math.log((mode + 1) / (odds * (n - mode + 1))) +
      (n + 1) * Math.log((n - mode + 1) / (n - k + 1)) +
      (k + 0.5) * Math.log((odds * (n - k + 1)) / (k + 1)) +
      stirling(mode) +
      stirling(n - mode) -
      stirling(k) -
      stirling(n - k);
    if (Math.log((v * alpha) / (a / (us * us) + b)) <= bound) return k;
  }
}

/** Remainder of Stirling's series for ln k!. */
function stirling(k: number): number {
  const small = STIRLING[k];
  if (small !== undefined) return small;
  const square = (k + 1) ** 2;
  return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1);
}

const STIRLING = [
  0.08106146679532726, 0.04134069595540929, 0.02767792568499834, 0.02079067210376509, 0.01664469118982119,
  0.01387612882307075, 0.01189670994589177, 0.01041126526197209, 0.009255462182712733, 0.008330563433362871,
];
