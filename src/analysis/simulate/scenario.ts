import { DavyError } from '../../lib/error.ts';
import { parseDurationMs, parseShare } from '../../lib/units.ts';
import { analysisErrors } from '../errors.ts';

/** What happens to the system while it is released. */
export interface Scenario {
  text: string;
  /** The canary's harm and when it begins, ms after the start of the release. */
  onsetMs: number;
  /** The canary's error share from then on; null: like stable. */
  errorShare: number | null;
  /** The canary's latency factor from then on. */
  slowdown: number;
  /** Both arms fail 3 points more for 10 minutes, so often a day. */
  incidentsPerDay: number;
  /** Failures come in clusters of this mean size on one instance; 1: independent. */
  burst: number;
  /** Every instance fails half of its requests for 2 minutes, so often a day. */
  hiccupsPerDay: number;
}

const HEALTHY: Omit<Scenario, 'text'> = {
  onsetMs: 0,
  errorShare: null,
  slowdown: 1,
  incidentsPerDay: 0,
  burst: 1,
  hiccupsPerDay: 0,
};

/**
 * `healthy`, `errors:0.5%@12h`, `latency:+25%@1h`, `latency:x2`, `incident` (one a day), `bursts` (mean size 5, or `bursts:20`),
 * `hiccups`; several joined with `,`.
 */
export function parseScenario(text: string): Scenario {
  const scenario: Scenario = { text, ...HEALTHY };
  for (const part of text.split(',')) apply(scenario, part.trim());
  return scenario;
}

function apply(scenario: Scenario, part: string): void {
  const [what = '', onset] = part.split('@');
  const [name = '', value] = what.split(':');
  const bad = (why: string): DavyError => new DavyError(analysisErrors['bad-scenario'], `Scenario "${part}": ${why}`);
  if (onset !== undefined) {
    const ms = parseDurationMs(onset);
    if (ms === null) throw bad(`"${onset}" is not a duration like 12h`);
    scenario.onsetMs = ms;
  }
  switch (name) {
    case 'healthy':
      return;
    case 'errors': {
      const share = value === undefined ? null : parseShare(value);
      if (share === null || share > 1) throw bad('errors needs a share, as in errors:0.5%@12h');
      scenario.errorShare = share;
      return;
    }
    case 'latency':
      scenario.slowdown = slowdownOf(value, bad);
      return;
    case 'incident':
      scenario.incidentsPerDay = numberOf(value ?? '1', 0, 100, bad);
      return;
    case 'bursts':
      scenario.burst = numberOf(value ?? '5', 1, 1000, bad);
      return;
    case 'hiccups':
      scenario.hiccupsPerDay = numberOf(value ?? '1', 0, 100, bad);
      return;
    default:
      throw bad('not a known kind');
  }
}

function slowdownOf(value: string | undefined, bad: (why: string) => DavyError): number {
  const times = /^x(\d+(?:\.\d+)?)$/.exec(value ?? '');
  if (times) return numberOf(times[1]!, 0.1, 100, bad);
  const more = value?.startsWith('+') ? parseShare(value.slice(1)) : null;
  if (more === null || more > 99) throw bad('latency needs a slowdown, as in latency:+25%@1h or latency:x2');
  return 1 + more;
}

function numberOf(text: string, min: number, max: number, bad: (why: string) => DavyError): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < min || value > max) throw bad(`${text} is not a number from ${min} to ${max}`);
  return value;
}
