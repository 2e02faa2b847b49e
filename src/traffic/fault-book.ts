import type { FaultReport, FaultRule } from './faults.ts';
import { isBetween, isCount, isObject, isShare, isTextList, isTextOrNull } from './outside-values.ts';

const limits = { rules: 100, ttlMs: 3_600_000, delayMs: 60_000, idLength: 100 };
/** Reports outlive their fault this long, so that whoever injected it can read the last counts. */
const keepReportMs = 60_000;

interface Entry {
  rule: FaultRule;
  /** Its present stretch in force, which may be over; those before it, in total. */
  beganMs: number;
  endsMs: number;
  earlierMs: number;
  begun: number;
  matched: number;
  injected: number;
  delayed: number;
  addedMsSum: number;
  addedMsMax: number;
  /** What the fault holds back now. */
  held: Set<HeldRequest>;
}

/** A request that a fault holds back, or slows down. */
export interface HeldRequest {
  /** The fault is over before its time: go on at once. Not called when its lease ends, which the request sees by `endsMs`. */
  release(): void;
}

/** A try that is about to go to an instance. */
export interface FaultTarget {
  service: string;
  version: string;
  instance: string;
  zone: string | null;
}

/** A fault that hits a try. What it does to a request ends when the fault does: whoever holds one registers it, and lets it go by `endsMs`. */
export interface FaultHit {
  readonly rule: FaultRule;
  /** Monotonic time at which the fault ends, as far as is known now: it may yet be prolonged or cleared. */
  readonly endsMs: number;
  hold(request: HeldRequest): void;
  letGo(request: HeldRequest): void;
  /** The delay that the request really got. */
  added(ms: number): void;
}

/**
 * The faults in force in one data plane. Expiry is checked on every use, against the monotonic time that is handed in: no
 * timer, no heartbeat and no controller is needed for a fault to end.
 */
export class FaultBook {
  readonly #random: () => number;
  readonly #entries = new Map<string, Entry>();
  #anyUntilMs = Number.NEGATIVE_INFINITY;

  /** `random`: 0 <= x < 1, decides which requests of a share are hit. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Puts rules in force, or prolongs them. Returns what is wrong with them, and then changes nothing. */
  inject(rules: readonly FaultRule[], nowMs: number): string | null {
    this.#forget(nowMs);
    const problem = rules.map(ruleProblem).find((found) => found !== null);
    if (problem) return problem;
    const ids = new Set([...this.#entries.keys(), ...rules.map((rule) => rule.id)]);
    if (ids.size > limits.rules) return `more than ${limits.rules} faults`;
    for (const rule of rules) {
      // The same entry goes on: requests that are being delayed now still report to it.
      const entry = this.#entries.get(rule.id) ?? newEntry(rule, nowMs);
      if (nowMs >= entry.endsMs) beginAgain(entry, nowMs);
      entry.rule = rule;
      entry.endsMs = nowMs + rule.ttlMs;
      this.#entries.set(rule.id, entry);
      this.#anyUntilMs = Math.max(this.#anyUntilMs, nowMs + rule.ttlMs);
    }
    return null;
  }

  clear(ids: readonly string[] | 'all', nowMs: number): void {
    for (const [id, entry] of this.#entries) {
      if (ids !== 'all' && !ids.includes(id)) continue;
      entry.endsMs = Math.min(entry.endsMs, nowMs);
      for (const request of [...entry.held]) request.release();
    }
  }

  /** The first fault in force that hits this try. */
  hit(target: FaultTarget, nowMs: number): FaultHit | null {
    if (nowMs >= this.#anyUntilMs) return null;
    for (const entry of this.#entries.values()) {
      if (nowMs >= entry.endsMs || !matches(entry.rule, target)) continue;
      entry.matched++;
      if (this.#random() >= entry.rule.scope.share) continue;
      entry.injected++;
      return new Hit(entry);
    }
    return null;
  }

  reports(nowMs: number): FaultReport[] {
    this.#forget(nowMs);
    return [...this.#entries.values()].map((entry) => {
      const { rule, endsMs, begun, matched, injected, delayed, addedMsSum, addedMsMax, held } = entry;
      const inForceMs = inForce(entry, nowMs);
      const expiresInMs = Math.max(0, endsMs - nowMs);
      const counts = { matched, injected, delayed, addedMsSum, addedMsMax };
      return { id: rule.id, expiresInMs, inForceMs, begun, ...counts, held: held.size };
    });
  }

  /** The rules in force, each with the time that is left. */
  inForce(nowMs: number): FaultRule[] {
    const live = [...this.#entries.values()].filter(({ endsMs }) => endsMs > nowMs);
    return live.map(({ rule, endsMs }) => ({ ...rule, ttlMs: Math.max(1, Math.floor(endsMs - nowMs)) }));
  }

  #forget(nowMs: number): void {
    for (const [id, entry] of this.#entries) if (nowMs - entry.endsMs > keepReportMs) this.#entries.delete(id);
  }
}

class Hit implements FaultHit {
  readonly #entry: Entry;
  readonly rule: FaultRule;

  constructor(entry: Entry) {
    this.#entry = entry;
    this.rule = entry.rule;
  }

  get endsMs(): number {
    return this.#entry.endsMs;
  }

  hold(request: HeldRequest): void {
    this.#entry.held.add(request);
  }

  letGo(request: HeldRequest): void {
    this.#entry.held.delete(request);
  }

  added(ms: number): void {
    this.#entry.delayed++;
    this.#entry.addedMsSum += ms;
    this.#entry.addedMsMax = Math.max(this.#entry.addedMsMax, ms);
  }
}

function newEntry(rule: FaultRule, nowMs: number): Entry {
  const none = { matched: 0, injected: 0, delayed: 0, addedMsSum: 0, addedMsMax: 0, held: new Set<HeldRequest>() };
  return { rule, beganMs: nowMs, endsMs: nowMs, earlierMs: 0, begun: 0, ...none };
}

function beginAgain(entry: Entry, nowMs: number): void {
  entry.earlierMs = inForce(entry, nowMs);
  entry.beganMs = nowMs;
  entry.begun++;
}

function inForce({ beganMs, endsMs, earlierMs }: Entry, nowMs: number): number {
  return earlierMs + Math.max(0, Math.min(nowMs, endsMs) - beganMs);
}

function matches({ scope }: FaultRule, target: FaultTarget): boolean {
  return (
    scope.service === target.service &&
    (scope.version == null || scope.version === target.version) &&
    (scope.instances == null || scope.instances.includes(target.instance)) &&
    (scope.zone == null || scope.zone === target.zone)
  );
}

/** What is wrong with a rule, in words; null when it can be put in force. It may be anything: rules come from outside. */
export function ruleProblem(rule: FaultRule): string | null {
  if (!isObject(rule)) return 'a fault that is no object';
  const { id, action, scope, ttlMs } = rule;
  if (typeof id !== 'string' || id === '' || id.length > limits.idLength) return 'a fault without a usable id';
  // The id goes into a header of every answer that the fault makes.
  if (!/^[A-Za-z0-9._/-]+$/.test(id))
    return `the id ${JSON.stringify(id)} has characters other than letters, digits and ._/-`;
  if (!isBetween(ttlMs, 1, limits.ttlMs)) return `${id}: ttlMs must be from 1 to ${limits.ttlMs}`;
  const problem = scopeProblem(scope) ?? actionProblem(action);
  return problem === null ? null : `${id}: ${problem}`;
}

function scopeProblem(scope: FaultRule['scope']): string | null {
  if (!isObject(scope) || typeof scope.service !== 'string') return 'no service in scope';
  const { version, instances, zone, share } = scope;
  if (!isTextOrNull(version)) return 'version must be a name or null';
  if (instances != null && !isTextList(instances)) return 'instances must be a list of ids or null';
  if (!isTextOrNull(zone)) return 'zone must be a name or null';
  return isShare(share) && share > 0 ? null : 'share must be above 0 and at most 1';
}

function actionProblem(action: FaultRule['action']): string | null {
  switch (action?.kind) {
    case 'delay':
      return isBetween(action.delayMs, 1, limits.delayMs) ? null : `delayMs must be from 1 to ${limits.delayMs}`;
    case 'abort':
      return isCount(action.status) && isBetween(action.status, 200, 599) ? null : 'status must be from 200 to 599';
    case 'bandwidth':
      return isBetween(action.bytesPerSecond, 1, 1e9) ? null : 'bytesPerSecond must be from 1 to 1000000000';
    case 'blackhole':
      return null;
    default:
      return 'unknown kind of fault';
  }
}
