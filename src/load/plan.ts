import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { DavyError, messageOf } from '../lib/error.ts';
import { formatDurationMs } from '../lib/units.ts';
import { loadErrors } from './errors.ts';

/** One kind of request in the mix. */
export interface LoadTarget {
  name: string;
  /** `http://host:port/path` or `https://…`; HTTP/1.1 in both. */
  url: string;
  method: string;
  headers: Record<string, string>;
  body: string | null;
  /** Relative share of the requests. */
  weight: number;
  check: AnswerCheck | null;
}

/** What an answer must look like to be a good one. */
export interface AnswerCheck {
  /** Allowed statuses; null: 200 to 399. */
  statuses: number[] | null;
  /** Text that the body (its first 64 KiB) must contain. */
  bodyIncludes: string | null;
}

/** A stretch of time in which the rate goes in a straight line from one value to the other (requests per second). */
export interface LoadStage {
  fromPerSecond: number;
  toPerSecond: number;
  durationMs: number;
}

/**
 * `open`: requests arrive by the clock, whatever the service does, so a stall shows as waiting time.
 * `closed`: each connection sends its next request when it has the answer; it measures capacity and hides stalls.
 */
export type LoadModel =
  | { kind: 'open'; arrivals: 'poisson' | 'uniform'; stages: LoadStage[] }
  | { kind: 'closed'; connections: number; durationMs: number };

export interface LoadPlan {
  targets: LoadTarget[];
  model: LoadModel;
  seed: number;
  /** Requests that arrive this early are sent and counted, but stay out of every figure. */
  warmupMs: number;
  /** From the intended send time to the whole answer. */
  timeoutMs: number;
  maxConnections: number;
  /** Requests in flight or waiting for a connection; what arrives beyond is dropped and counted. */
  maxOutstanding: number;
  /** False: every request opens a connection of its own and closes it after the answer. */
  keepAlive: boolean;
  /** For `https://` targets. */
  tls: {
    /** PEM certificates that are trusted instead of Node's own list. */
    ca: string | null;
    /** The name that the certificate must have; null: the URL's host. */
    serverName: string | null;
    /** False: no certificate is checked. */
    verify: boolean;
  };
}

export const planDefaults = {
  seed: 1,
  warmupMs: 0,
  timeoutMs: 10_000,
  maxConnections: 256,
  maxOutstanding: 20_000,
  keepAlive: true,
  tls: { ca: null, serverName: null, verify: true },
} as const;

const limits = {
  targets: 100,
  stages: 1_000,
  perSecond: 100_000,
  durationMs: 24 * 3_600_000,
  connections: 4_096,
  outstanding: 1_000_000,
  timeoutMs: 600_000,
  caChars: 1024 * 1024,
};

/** Rejects with `load/bad-plan` what the generator cannot do or should not try. */
export function checkPlan(plan: LoadPlan): LoadPlan {
  between('the number of targets', plan.targets.length, 1, limits.targets);
  plan.targets.forEach(checkTarget);
  if (plan.model.kind === 'open') checkStages(plan.model.stages);
  else {
    between('the number of connections', plan.model.connections, 1, limits.connections);
    between('the duration in ms', plan.model.durationMs, 1, limits.durationMs);
  }
  between('the seed', plan.seed, 0, 2 ** 32 - 1);
  between('the warm-up in ms', plan.warmupMs, 0, limits.durationMs);
  const durationMs = planDurationMs(plan);
  if (plan.warmupMs >= durationMs) {
    bad(
      `the warm-up of ${formatDurationMs(plan.warmupMs)} leaves nothing of ${formatDurationMs(durationMs)} to be measured.`,
    );
  }
  between('the timeout in ms', plan.timeoutMs, 1, limits.timeoutMs);
  between('the number of connections', plan.maxConnections, 1, limits.connections);
  between('the number of outstanding requests', plan.maxOutstanding, 1, limits.outstanding);
  checkCa(plan.tls.ca);
  const { serverName } = plan.tls;
  if (serverName !== null && !/^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$/i.test(serverName)) {
    bad(`"${serverName}" is no host name.`);
  }
  return plan;
}

export function planDurationMs({ model }: LoadPlan): number {
  return model.kind === 'closed' ? model.durationMs : model.stages.reduce((sum, stage) => sum + stage.durationMs, 0);
}

function checkStages(stages: LoadStage[]): void {
  between('the number of stages', stages.length, 1, limits.stages);
  for (const stage of stages) {
    between('the rate per second that a stage begins with', stage.fromPerSecond, 0, limits.perSecond);
    between('the rate per second that a stage ends with', stage.toPerSecond, 0, limits.perSecond);
    between('the duration of a stage in ms', stage.durationMs, 1, limits.durationMs);
  }
  if (stages.every((stage) => stage.fromPerSecond + stage.toPerSecond === 0)) bad('Every stage has the rate 0.');
}

function checkCa(ca: string | null): void {
  if (ca === null) return;
  if (ca.length > limits.caChars)
    bad(`the certificates have ${ca.length} characters; ${limits.caChars} are the limit.`);
  try {
    // Both refuse what is no PEM: one names what is wrong with the first certificate, the other looks at all of them.
    new X509Certificate(ca);
    createSecureContext({ ca });
  } catch (error) {
    bad(`the trusted certificates cannot be read: ${messageOf(error)}.`);
  }
}

function checkTarget(target: LoadTarget): void {
  const url = URL.canParse(target.url) ? new URL(target.url) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    bad(`The target "${target.name}" needs an http:// or https:// URL (HTTP/1.1), not "${target.url}".`);
  }
  if (url.username !== '' || url.password !== '') {
    bad(`The target "${target.name}" has a user in its URL; give an authorization header instead.`);
  }
  if (!/^[A-Z]{1,20}$/.test(target.method)) bad(`"${target.method}" is no method.`);
  between(`the weight of "${target.name}"`, target.weight, Number.MIN_VALUE, 1e9);
  for (const [name, value] of Object.entries(target.headers)) {
    // RFC 9110 section 5.5: no control characters in a field value; section 5.1: a name is a token.
    const clean = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
    if (!clean) bad(`The header "${name}" of "${target.name}" is not a valid header.`);
    if (/^(host|content-length|transfer-encoding|connection)$/i.test(name)) {
      bad(`The header "${name}" of "${target.name}" is set by the generator itself.`);
    }
  }
}

function between(name: string, value: number, min: number, max: number): void {
  if (!(value >= min && value <= max)) bad(`${name} must be from ${min} to ${max}, not ${value}.`);
}

function bad(sentence: string): never {
  throw new DavyError(loadErrors['bad-plan'], sentence.charAt(0).toUpperCase() + sentence.slice(1));
}
