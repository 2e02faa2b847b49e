import type { Position } from '../lib/error.ts';
import { didYouMean } from '../lib/nearest.ts';
import type { Literal } from './js-literal.ts';
import { excerpt, type Fields, type K6Report } from './k6-fields.ts';
import { scenariosLoad } from './k6-scenarios.ts';
import { readK6Source } from './k6-source.ts';
import { slaOfThresholds } from './k6-thresholds.ts';
import type { LoadStage } from './plan.ts';
import type { Sla } from './sla.ts';

/** A reason for which k6's load would be another one here. */
export interface K6Difference {
  at: Position;
  sentence: string;
}

/** What of k6's options can be taken over: arrival rates, thresholds, and how connections are made. */
export interface K6Import {
  /** All scenarios together; null when none sends by the clock. `maxVus`: requests at once, beyond which k6 drops them. */
  load: { stages: LoadStage[]; maxVus: number | null } | null;
  /** While there is one, `load` is not k6's. */
  differences: K6Difference[];
  sla: Sla;
  keepAlive: boolean;
  /** Whether certificates are checked. */
  verifyTls: boolean;
  /** What was left out without an effect on when requests are sent, in words. */
  notes: string[];
}

/** Fields that say when or how requests are sent, and what of it cannot be had here. */
const refused: ReadonlyMap<string, string> = new Map([
  ['executionSegment', 'runs a part of the load'],
  ['executionSegmentSequence', 'runs a part of the load'],
  ['hosts', 'sends requests to other addresses'],
  ['localIPs', 'sends requests from other addresses'],
  ['minIterationDuration', 'keeps virtual users busy for longer, so that others are dropped'],
  ['tlsAuth', 'presents a certificate'],
  ['tlsVersion', 'allows certain versions of TLS only'],
  ['tlsCipherSuites', 'allows certain ciphers only'],
]);

/** Fields without an effect on when requests are sent. */
const idle: ReadonlySet<string> = new Set([
  ...['batch', 'batchPerHost', 'blacklistIPs', 'blockHostnames', 'cloud', 'compatibilityMode', 'consoleOutput'],
  ...['discardResponseBodies', 'dns', 'ext', 'httpDebug', 'linger', 'maxRedirects', 'metricSamplesBufferSize'],
  ...['noCookiesReset', 'noSetup', 'noTeardown', 'noUsageReport', 'paused', 'setupTimeout', 'summaryTimeUnit'],
  ...['summaryTrendStats', 'systemTags', 'tags', 'teardownTimeout', 'throw', 'userAgent'],
]);

const closedModel = ['vus', 'iterations', 'duration', 'stages'] as const;
const understood = [
  'scenarios',
  'thresholds',
  'rps',
  'noConnectionReuse',
  'noVUConnectionReuse',
  'insecureSkipTLSVerify',
];
const known = [...understood, ...closedModel, ...refused.keys(), ...idle];

/**
 * Reads k6's options from a JSON file or a script; `file` is what positions call it. Nothing is run. Every field is taken over, named in
 * `notes`, or a difference. Arrival-rate executors are the same open model; the others wait for answers, which Davy does not.
 * Throws `load/bad-plan` when there are no options that can be read.
 */
export function importK6Options(content: string, file: string): K6Import {
  const { options, isScript } = readK6Source(content, file);
  const differences: K6Difference[] = [];
  const notes: string[] = [];
  const report: K6Report = {
    differs: (at, sentence) => void differences.push({ at, sentence }),
    note: (sentence) => void notes.push(sentence),
  };
  if (isScript)
    notes.push("the script's functions are not run: each iteration is one request to the targets given here");
  nameFields(options, report);
  const scenarios = objectOf(options, 'scenarios', report);
  const load = scenarios && scenariosLoad(scenarios, report);
  checkRps(options, load?.stages ?? [], report);
  const thresholds = objectOf(options, 'thresholds', report);
  const sla = thresholds === null ? { latency: {}, errorShare: null } : slaOfThresholds(thresholds, report);
  const connectionFlags = ['noConnectionReuse', 'noVUConnectionReuse', 'insecureSkipTLSVerify'];
  const [noReuse, noVuReuse, skipsVerify] = connectionFlags.map((name) => flag(options, name, report));
  differences.sort((a, b) => (a.at.line ?? 0) - (b.at.line ?? 0) || (a.at.column ?? 0) - (b.at.column ?? 0));
  return { load, differences, notes, sla, keepAlive: !(noReuse || noVuReuse), verifyTls: !skipsVerify };
}

function nameFields(options: Fields, report: K6Report): void {
  const closed = closedModel.filter((name) => options.entries.has(name));
  if (closed.length > 0) {
    const at = options.entries.get(closed[0]!)!.at;
    report.differs(at, `${closed.join(', ')}: users that wait for answers (a closed model); Davy sends by the clock`);
  }
  for (const [name, { at }] of options.entries) {
    const effect = refused.get(name);
    if (effect !== undefined) report.differs(at, `${name} ${effect}, which is not supported here`);
    else if (idle.has(name)) report.note(`${name} has no effect on when requests are sent, and was left out`);
    else if (!known.includes(name)) report.differs(at, `${name} is not known${didYouMean(name, known)}`);
  }
  for (const { at, text } of options.unreadable) report.differs(at, `${excerpt(text)} has to be run to be known`);
}

/** k6 holds requests back beyond this rate. Of a rate that the load never reaches nothing is felt. */
function checkRps(options: Fields, stages: readonly LoadStage[], report: K6Report): void {
  const rps = options.entries.get('rps');
  if (rps === undefined) return;
  const limit = rps.kind === 'value' && typeof rps.value === 'number' ? rps.value : null;
  const peak = Math.max(0, ...stages.flatMap(({ fromPerSecond, toPerSecond }) => [fromPerSecond, toPerSecond]));
  // 0 is k6's own "no limit".
  if (limit === 0 || (limit !== null && limit >= peak)) report.note(`rps: ${limit} is never reached, and was left out`);
  else
    report.differs(
      rps.at,
      `rps: ${limit ?? 'what has to be run'} holds back what the scenarios send (up to ${peak}/s)`,
    );
}

function objectOf(options: Fields, name: string, report: K6Report): Fields | null {
  const literal = options.entries.get(name);
  if (literal === undefined || isNothing(literal)) return null;
  if (literal.kind === 'object') return literal;
  report.differs(literal.at, `${name} is no object that can be read`);
  return null;
}

function flag(options: Fields, name: string, report: K6Report): boolean {
  const literal = options.entries.get(name);
  if (literal === undefined || isNothing(literal)) return false;
  if (literal.kind === 'value' && typeof literal.value === 'boolean') return literal.value;
  report.differs(literal.at, `${name} is neither true nor false`);
  return false;
}

const isNothing = (literal: Literal): boolean => literal.kind === 'value' && literal.value == null;
