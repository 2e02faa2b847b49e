/**
 * Quantile of latencies that were counted against edges: `over[i]` of `requests` were slower than `edgesMs[i]`.
 * Interpolates within a bin as Prometheus' histogram_quantile does; beyond the last edge it answers that edge.
 * Null without requests.
 */
export function quantileMs(
  edgesMs: readonly number[],
  over: readonly number[],
  requests: number,
  quantile: number,
): number | null {
  if (!(requests > 0) || edgesMs.length === 0) return null;
  const rank = quantile * requests;
  let below = 0;
  let lower = 0;
  for (const [index, edge] of edgesMs.entries()) {
    const upTo = requests - (over[index] ?? 0);
    if (upTo >= rank) {
      const inside = upTo - below;
      return inside > 0 ? lower + ((rank - below) / inside) * (edge - lower) : edge;
    }
    below = upTo;
    lower = edge;
  }
  return edgesMs.at(-1) ?? null;
}
