import type { EjectionSpec } from '../../spec/model.ts';

const MAX_EJECTION_MS = 300_000;
const JITTER_SHARE = 0.1;

/** The outlier state of one instance (semantics of Envoy's `consecutive_5xx`, time-outs and resets included). */
export interface Outlier {
  consecutiveFailures: number;
  /** Monotonic time until which it gets no traffic; 0: it is in. */
  ejectedUntilMs: number;
  /** Times ejected, less one for each healthy period: the multiplier of the ejection time. */
  ejections: number;
  /** When it came back last, for the decay of the multiplier. */
  returnedAtMs: number;
}

export function newOutlier(): Outlier {
  return { consecutiveFailures: 0, ejectedUntilMs: 0, ejections: 0, returnedAtMs: 0 };
}

/** How many of `count` instances may be out at once: one of up to three, half of more, and one always stays. */
export function ejectionCap(count: number): number {
  return count <= 3 ? Math.min(1, count - 1) : Math.min(Math.floor(count / 2), count - 1);
}

/** Whether the instance takes traffic; brings it back when its time is over. */
export function isIn(outlier: Outlier, nowMs: number): boolean {
  if (outlier.ejectedUntilMs === 0) return true;
  if (nowMs < outlier.ejectedUntilMs) return false;
  outlier.ejectedUntilMs = 0;
  outlier.returnedAtMs = nowMs;
  return true;
}

/**
 * Notes one outcome. Returns true when this instance is ejected by it; `othersOut` is how many of its `count` siblings
 * are out already, `random` is 0..1 for the jitter of at most 10 %.
 */
export function noteOutcome(
  outlier: Outlier,
  failed: boolean,
  spec: EjectionSpec,
  context: { count: number; othersOut: number; nowMs: number; random: number },
): boolean {
  if (!failed) {
    outlier.consecutiveFailures = 0;
    return false;
  }
  outlier.consecutiveFailures++;
  if (outlier.consecutiveFailures < spec.consecutive5xx || outlier.ejectedUntilMs > context.nowMs) return false;
  if (context.othersOut >= ejectionCap(context.count)) return false;
  decay(outlier, spec, context.nowMs);
  outlier.ejections++;
  outlier.consecutiveFailures = 0;
  const baseMs = Math.min(MAX_EJECTION_MS, spec.forMs * outlier.ejections);
  outlier.ejectedUntilMs = context.nowMs + baseMs * (1 + JITTER_SHARE * context.random);
  return true;
}

/** One step down for every ejection time spent in service since it returned. */
function decay(outlier: Outlier, spec: EjectionSpec, nowMs: number): void {
  if (outlier.ejections === 0) return;
  const healthyPeriods = Math.floor((nowMs - outlier.returnedAtMs) / spec.forMs);
  outlier.ejections = Math.max(0, outlier.ejections - healthyPeriods);
}
