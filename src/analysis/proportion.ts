/** z for a two-sided 95 % interval. */
const Z95 = 1.959963984540054;

/**
 * 95 % score interval of a share (E. B. Wilson, JASA 22 (1927), p. 209–212), within 0..1.
 * Without trials nothing is known: [0, 1].
 */
export function wilson95(successes: number, trials: number): { low: number; high: number } {
  if (trials <= 0) return { low: 0, high: 1 };
  const share = successes / trials;
  const z2 = Z95 * Z95;
  const centre = (share + z2 / (2 * trials)) / (1 + z2 / trials);
  const half = (Z95 / (1 + z2 / trials)) * Math.sqrt((share * (1 - share)) / trials + z2 / (4 * trials * trials));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}
