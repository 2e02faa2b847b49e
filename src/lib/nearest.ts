/**
 * Number of single-character insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`
 * (optimal string alignment, the restricted Damerau-Levenshtein distance).
 */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, beforePrevious[j - 2]! + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}

/** Longer words are not compared: the cost is quadratic and nobody mistypes them. */
const maxLength = 64;
/** Of more names only the last ones are compared: lists that long grow at their end. */
const maxCompared = 1_000;
/** A sentence names at most so many. */
const maxListed = 20;

/** The known name that was most likely meant, or null when none is close (a third of its length, at least one edit). */
export function nearestName(name: string, known: readonly string[]): string | null {
  if (name.length > maxLength) return null;
  const wanted = name.toLowerCase();
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known.slice(-maxCompared)) {
    if (candidate.length > maxLength) continue;
    const allowed = Math.max(1, Math.floor(Math.max(name.length, candidate.length) / 3));
    // Each letter that one has more costs an edit at least.
    if (Math.abs(name.length - candidate.length) > Math.min(allowed, bestDistance - 1)) continue;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance && distance <= allowed) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `; did you mean budget?` where one of the known names was most likely meant, else nothing. */
export function didYouMean(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return nearest === null ? '' : `; did you mean ${nearest}?`;
}

/** `shop, cart`; of many the last ones, and how many there are. */
export function listed(known: readonly string[]): string {
  if (known.length === 0) return 'none';
  if (known.length <= maxListed) return known.join(', ');
  return `… ${known.slice(-maxListed).join(', ')} (${known.length} in all)`;
}

/** `There is no version "v9" of shop; did you mean v2? Known: v1, v2.` The place is what follows the name. */
export function noSuch(what: string, name: string, known: readonly string[], place = ''): string {
  const guess = didYouMean(name, known) || '.';
  return `There is no ${what} "${name.slice(0, 100)}"${place && ` ${place}`}${guess} Known: ${listed(known)}.`;
}
