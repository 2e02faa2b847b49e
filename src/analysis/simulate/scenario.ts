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
  /** Both arms fail more for a while, so often a day. */
  incidentsPerDay: number;
  incidentMs: number;
  incidentShare: number;
  /** Failures come in clusters of this mean size on one instance; 1: independent. */
  burst: number;
  /** Every instance fails half of its requests for 2 minutes, so often a day. */
  hiccupsPerDay: number;
  /** The canary starts cold: slower by this factor at first; the excess falls to a tenth within `warmupMs`. 1: warm. */
  coldFactor: number;
  coldMs: number;
  /** Latency of both arms wanders alike: standard deviation of its logarithm, and how long it remembers. */
  driftLogSd: number;
  driftMs: number;
  /** Instances differ in speed for good: standard deviation of the logarithm. */
  nodeLogSd: number;
  /** Both arms are slower by this factor until `outageMs`. 1: never. */
  outageFactor: number;
  outageMs: number;
  /** The canary's first instance fails this share of its requests for a while, so often a day. */
  nodeOutagesPerDay: number;
  nodeOutageMs: number;
  nodeOutageShare: number;
}

const HEALTHY: Omit<Scenario, 'text'> = {
  onsetMs: 0,
  errorShare: null,
  slowdown: 1,
  incidentsPerDay: 0,
  incidentMs: 600_000,
  incidentShare: 0.03,
  burst: 1,
  hiccupsPerDay: 0,
  coldFactor: 1,
  coldMs: 60_000,
  driftLogSd: 0,
  driftMs: 3_600_000,
  nodeLogSd: 0,
  outageFactor: 1,
  outageMs: 0,
  nodeOutagesPerDay: 0,
  nodeOutageMs: 300_000,
  nodeOutageShare: 0.3,
};

/**
 * `healthy`, `errors:0.5%@12h`, `latency:+25%@1h`, `latency:x2`, `incident` (one a day; `incident:12/2m/5%`: twelve of two
 * minutes and five points), `bursts` (mean size 5, or `bursts:20`), `hiccups`, `cold:x5/60s`, `drift:20%/1h`, `nodes:8.5%`,
 * `outage:x40/60s`, `node-outage:1/5m/30%`; several joined with `,`.
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
    case 'incident': {
      const [perDay = '1', length, more] = (value ?? '1').split('/');
      scenario.incidentsPerDay = numberOf(perDay, 0, 1000, bad);
      if (length !== undefined) scenario.incidentMs = durationOf(length, bad);
      if (more !== undefined) scenario.incidentShare = shareOf(more, bad);
      return;
    }
    case 'cold': {
      const [factor, length] = (value ?? 'x5/60s').split('/');
      scenario.coldFactor = slowdownOf(factor, bad);
      if (length !== undefined) scenario.coldMs = durationOf(length, bad);
      return;
    }
    case 'drift': {
      const [sd = '10%', memory] = (value ?? '10%').split('/');
      scenario.driftLogSd = shareOf(sd, bad);
      if (memory !== undefined) scenario.driftMs = durationOf(memory, bad);
      return;
    }
    case 'nodes':
      scenario.nodeLogSd = shareOf(value ?? '5%', bad);
      return;
    case 'outage': {
      const [factor, length = '60s'] = (value ?? 'x40/60s').split('/');
      scenario.outageFactor = slowdownOf(factor, bad);
      scenario.outageMs = durationOf(length, bad);
      return;
    }
    case 'node-outage': {
      const [perDay = '1', length, more] = (value ?? '1').split('/');
      scenario.nodeOutagesPerDay = numberOf(perDay, 0, 1000, bad);
      if (length !== undefined) scenario.nodeOutageMs = durationOf(length, bad);
      if (more !== undefined) scenario.nodeOutageShare = shareOf(more, bad);
      return;
    }
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

function durationOf(text: string, bad: (why: string) => DavyError): number {
  const ms = parseDurationMs(text);
  if (ms === null) throw bad(`"${text}" is not a duration like 60s`);
  return ms;
}

function shareOf(text: string, bad: (why: string) => DavyError): number {
  const share = parseShare(text);
  if (share === null || share > 1) throw bad(`"${text}" is not a share like 5%`);
  return share;
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
