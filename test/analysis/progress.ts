/** Traffic request by request, read as the gateway's counters are: what ended, what was sent, what waits. */
import { noOwnAnswers } from '../../src/gateway/stats/own-answers.ts';
import { seededRandom } from '../../src/lib/seeded-random.ts';
import { tickBetween } from '../../src/metrics/delta.ts';
import type { CounterSnapshot, InstanceCounters, OutcomeCounts, WaitingCounts } from '../../src/metrics/source.ts';
import type { Tick } from '../../src/metrics/tick.ts';

const EDGES = [10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

/** How one request goes on an instance: when its head comes (null: never), when it ends by itself, whether it is a stream. */
export interface Course {
  headMs: number | null;
  endsMs: number;
  stream?: boolean;
  /** The instance breaks it off at its end. */
  breaks?: boolean;
}

export interface ProgressOptions {
  seed: number;
  requestsPerSecond: number;
  weight: number;
  instances: { canary: number; stable: number };
  /** `instance` counts from 0 within its version. */
  course: (version: 'canary' | 'stable', instance: number, random: () => number) => Course;
  /** Clients of a sticky split, each sending an equal part; absent: every request is dealt by itself. */
  clients?: number;
  /** A client leaves, or the gateway gives up with a time-out, after this long without a head. */
  patienceMs?: number;
  timeoutMs?: number;
}

interface Open {
  counters: InstanceCounters;
  startMs: number;
  course: Course;
  booked: boolean;
}

/** A stream counts as answered when it has been open for a second, as in the gateway. */
const STREAM_MS = 1_000;
/** Half of a route's usual time. */
const LOST_AFTER_MS = 3_500;

export class Progress {
  private readonly options: ProgressOptions;
  private readonly random: () => number;
  private readonly counters: InstanceCounters[];
  private open: Open[] = [];
  private readonly places: number[];
  private readonly dealt = new Set<number>();
  private readonly clients = { dealt: { v1: 0, v2: 0 }, diverted: 0 };
  /** No instance of the canary is fit: stable serves its share. */
  canaryOut = false;
  private nowMs = 0;
  private nextMs = 0;
  private before: CounterSnapshot;

  constructor(options: ProgressOptions) {
    this.options = options;
    this.random = seededRandom(options.seed);
    this.places = Array.from({ length: options.clients ?? 0 }, () => this.random());
    const { canary, stable } = options.instances;
    const some = (version: string, count: number) => Array.from({ length: count }, (_, i) => fresh(version, i));
    this.counters = [...some('v1', stable), ...some('v2', canary)];
    this.before = this.snapshot();
  }

  /** The next look. */
  tick(dtMs: number): Tick {
    const untilMs = this.nowMs + dtMs;
    while (this.nextMs < untilMs) {
      this.arrive(this.nextMs);
      this.nextMs += (-Math.log(1 - this.random()) * 1000) / this.options.requestsPerSecond;
    }
    this.nowMs = untilMs;
    this.settle();
    const after = this.snapshot();
    const question = { service: 'svc', versions: ['v1', 'v2'], errors: ['timeout' as const, 'reset' as const] };
    const found = tickBetween(this.before, after, { ...question, t: untilMs / 1000, ageMs: () => null });
    if (found.tick === null) throw new Error(found.problem);
    this.before = after;
    return found.tick;
  }

  private arrive(startMs: number): void {
    const { weight, instances, course } = this.options;
    const forCanary = this.place() < weight;
    if (forCanary && this.canaryOut) this.clients.diverted++;
    const version = forCanary && !this.canaryOut ? 'canary' : 'stable';
    const at = Math.floor(this.random() * instances[version]);
    const counters = this.counters[version === 'stable' ? at : instances.stable + at]!;
    counters.started!++;
    this.open.push({ counters, startMs, course: course(version, at, this.random), booked: false });
  }

  private place(): number {
    if (this.places.length === 0) return this.random();
    const client = Math.floor(this.random() * this.places.length);
    const place = this.places[client]!;
    if (!this.dealt.has(client)) this.clients.dealt[place < this.options.weight && !this.canaryOut ? 'v2' : 'v1']++;
    this.dealt.add(client);
    return place;
  }

  private settle(): void {
    const { patienceMs = Number.POSITIVE_INFINITY, timeoutMs = Number.POSITIVE_INFINITY } = this.options;
    this.open = this.open.filter((one) => {
      const ageMs = this.nowMs - one.startMs;
      const { headMs, endsMs, stream, breaks } = one.course;
      const givenUpMs = Math.min(patienceMs, timeoutMs);
      if (givenUpMs < (headMs ?? Number.POSITIVE_INFINITY)) {
        if (ageMs < givenUpMs) return true;
        book(one, givenUpMs, patienceMs < timeoutMs ? 'aborted' : 'timeouts');
        return false;
      }
      const tookMs = stream ? headMs! : endsMs;
      if (stream && Math.min(ageMs, endsMs) >= headMs! + STREAM_MS) book(one, tookMs, 'status2xx');
      if (ageMs < endsMs) return true;
      if (breaks) one.booked = false;
      book(one, tookMs, breaks ? 'resets' : 'status2xx');
      return false;
    });
  }

  private snapshot(): CounterSnapshot {
    for (const { waiting } of this.counters) Object.assign(waiting!, noneWaiting());
    for (const { counters, startMs, course, booked } of this.open) {
      const waiting = counters.waiting!;
      const ageMs = this.nowMs - startMs;
      const answered = course.headMs !== null && ageMs >= course.headMs;
      waiting.requests++;
      if (!answered) waiting.unanswered++;
      if (booked) continue;
      const untilMs = answered ? course.headMs! : ageMs;
      if (untilMs > LOST_AFTER_MS) waiting.overdue++;
      noteOver(waiting.over, course.stream ? untilMs : ageMs);
    }
    const own = noOwnAnswers();
    const instances = structuredClone(this.counters);
    const clients = this.places.length === 0 ? {} : { clients: structuredClone(this.clients) };
    const services = [{ service: 'svc', edgesMs: EDGES, instances, own, ...clients }];
    return { bootId: 'one', atMs: this.nowMs, monoMs: this.nowMs, services };
  }
}

function book(one: Open, tookMs: number, how: 'status2xx' | 'timeouts' | 'resets' | 'aborted'): void {
  if (one.booked) return;
  one.booked = true;
  const { firstTry, unserved } = one.counters;
  firstTry.requests++;
  firstTry[how] = (firstTry[how] ?? 0) + 1;
  noteOver(firstTry.over, tookMs);
  const untilMs = how === 'status2xx' || how === 'resets' ? one.course.headMs! : tookMs;
  if (how !== 'aborted' && untilMs <= LOST_AFTER_MS) return;
  unserved!.requests++;
  if (how === 'timeouts') unserved!.timeouts++;
}

function noteOver(over: number[], tookMs: number): void {
  EDGES.forEach((edge, j) => {
    if (tookMs > edge) over[j]!++;
  });
}

function fresh(version: string, index: number): InstanceCounters {
  const unserved = { requests: 0, status4xx: 0, status5xx: 0, timeouts: 0, resets: 0 };
  const counts = { outcome: zero(), firstTry: zero(), started: 0, waiting: noneWaiting(), unserved };
  return { instance: `svc/${version}/${index + 1}`, version, cohort: 'weight', ...counts };
}

function noneWaiting(): WaitingCounts {
  return { requests: 0, unanswered: 0, overdue: 0, over: EDGES.map(() => 0) };
}

function zero(): OutcomeCounts {
  const statuses = { status2xx: 0, status3xx: 0, status4xx: 0, status5xx: 0 };
  return { requests: 0, ...statuses, timeouts: 0, resets: 0, over: EDGES.map(() => 0), durationMsSum: 0 };
}
