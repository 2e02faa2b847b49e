import { setImmediate } from 'node:timers/promises';
import type { Look } from '../analysis/judge.ts';
import type { EvidenceSource } from '../ledger/collector.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LedgerRecord } from '../ledger/record.ts';
import {
  addArm,
  addLatency,
  type Compared,
  emptyLatency,
  type LookPoint,
  lookPoint,
  PointSeries,
} from '../release/look-points.ts';
import type { PolicySpec } from '../spec/model.ts';
import { type DashboardInput, releaseDashboard, type StepFigures } from './release-dashboard.ts';

const REQUESTED = 'release.requested';
const OBSERVED = 'release.observed';
const ENDS = new Set(['release.completed', 'release.rolledback', 'release.cancelled']);
/** Records read before the event loop gets its turn: what decides about live traffic must not wait for a drawing. */
const RECORDS_PER_TURN = 100;
/** Points of a chart; neighbours are joined beyond it. */
const MAX_POINTS = 400;
/** Releases in flight whose looks are kept folded; others are read again from their request on. */
const MAX_STORIES = 16;
/** Requests whose place in the ledger is remembered; a release older than these is looked for from the start. */
const MAX_REMEMBERED = 1_000;

/** Attaches a dashboard to every verdict that moves a release's weight, and to its end. */
export function dashboardSource(ledger: Ledger): EvidenceSource {
  const requestedAt = new Map<string, number>();
  const stories = new Map<string, Story>();

  async function storyOf(release: string, upTo: number): Promise<Story> {
    const story = stories.get(release) ?? new Story(release, requestedAt.get(release) ?? 0);
    stories.delete(release);
    await story.readOn(ledger, upTo);
    stories.set(release, story);
    forgetOldest(stories, MAX_STORIES);
    return story;
  }

  return {
    kind: 'dashboard',
    wants: (record) => record.type === REQUESTED || movesWeight(record),
    async collect(record) {
      const release = releaseIn(record);
      if (release === null) return null;
      if (record.type === REQUESTED) {
        requestedAt.set(release, record.seq);
        forgetOldest(requestedAt, MAX_REMEMBERED);
        return null;
      }
      const input = (await storyOf(release, record.seq)).dashboard(record);
      if (ENDS.has(record.type)) stories.delete(release);
      return input && { ...fileOf(record, release), content: String(releaseDashboard(input)) };
    },
  };
}

/** Before its first step a release has measured nothing. */
function movesWeight({ type, data }: LedgerRecord): boolean {
  return type === 'release.step.decided'
    ? data.why !== 'started'
    : type === 'release.rollback.decided' || ENDS.has(type);
}

function fileOf(record: LedgerRecord, release: string): { name: string; type: string; desc: string } {
  const word = record.type.split('.').slice(1).join('-');
  const desc = `Dashboard of ${release} at "${record.type}" (record ${record.seq}): error rate, latency and request split`;
  return { name: `dashboard-${word}.html`, type: 'text/html; charset=utf-8', desc };
}

function releaseIn({ data }: LedgerRecord): string | null {
  return typeof data.release === 'string' ? data.release : null;
}

function forgetOldest(kept: Map<string, unknown>, max: number): void {
  for (const key of kept.keys()) {
    if (kept.size <= max) return;
    kept.delete(key);
  }
}

interface Request {
  service: string;
  version: string;
  from: string;
  policy: PolicySpec;
  reason: string;
}

/** What the records of one release say, folded once and then only read on. */
class Story {
  readonly #release: string;
  readonly #series = new PointSeries<LookPoint>(MAX_POINTS);
  readonly #steps = new Map<number, StepFigures>();
  #request: { record: LedgerRecord; data: Request } | null = null;
  #nextSeq: number;

  constructor(release: string, fromSeq: number) {
    this.#release = release;
    this.#nextSeq = fromSeq;
  }

  /** Reads up to a record, itself included: the drawing then shows what was known at that record, and nothing later. */
  async readOn(ledger: Ledger, upTo: number): Promise<void> {
    if (this.#nextSeq > upTo) return;
    for await (const record of ledger.read(this.#nextSeq)) {
      if (record.seq > upTo) break;
      this.#nextSeq = record.seq + 1;
      if (record.seq % RECORDS_PER_TURN === 0) await setImmediate();
      if (releaseIn(record) !== this.#release) continue;
      if (record.type === REQUESTED) this.#request = { record, data: record.data as unknown as Request };
      else if (record.type === OBSERVED) this.#observe(record, record.data.looks as unknown as Look[]);
    }
  }

  #observe(record: LedgerRecord, looks: Look[]): void {
    if (!this.#request) return;
    const { version, from } = this.#request.data;
    const versions = { canary: version, stable: from };
    let atMs = Date.parse(record.time) - looks.reduce((sum, { dtMs }) => sum + dtMs, 0);
    for (const look of looks) {
      atMs += look.dtMs;
      const point = lookPoint({ seq: record.seq, atMs, look }, versions);
      this.#series.add(point);
      this.#count(point, look, versions);
    }
  }

  #count(point: LookPoint, look: Look, versions: Compared): void {
    const known = this.#steps.get(point.step);
    const edges = look.tick?.edges ?? known?.latency.edgesMs ?? [];
    const step: StepFigures = known ?? {
      step: point.step,
      weightBp: point.weightBp,
      canary: { requests: 0, errors: 0 },
      stable: { requests: 0, errors: 0 },
      latency: emptyLatency(edges),
      looks: 0,
      blind: 0,
    };
    // A first look that saw nothing had no edges either.
    if (step.latency.edgesMs.length === 0) step.latency = emptyLatency(edges);
    if (step.latency.edgesMs.length === edges.length) addLatency(step.latency, look, versions);
    this.#steps.set(point.step, {
      ...step,
      weightBp: point.weightBp,
      canary: addArm(step.canary, point.canary),
      stable: addArm(step.stable, point.stable),
      looks: step.looks + 1,
      blind: step.blind + (point.problem === null ? 0 : 1),
    });
  }

  dashboard(at: LedgerRecord): DashboardInput | null {
    if (!this.#request) return null;
    const { record, data } = this.#request;
    return {
      release: this.#release,
      service: data.service,
      canary: data.version,
      stable: data.from,
      requestedAtMs: Date.parse(record.time),
      requestedBy: record.actor.id,
      reason: data.reason,
      policy: data.policy.name,
      limits: data.policy.steps.map(({ limits }) => limits),
      at: { seq: at.seq, time: at.time, type: at.type, says: saysOf(at) },
      fromSeq: record.seq,
      points: this.#series.points,
      steps: [...this.#steps.values()],
    };
  }
}

function saysOf({ type, data }: LedgerRecord): string {
  if (type === 'release.rolledback' && typeof data.secondsToZero === 'number')
    return `no request reached the canary any more ${data.secondsToZero.toFixed(1)} s after the decision`;
  const judgement = data.judgement as { reason?: unknown } | null | undefined;
  const says = [data.reason, judgement?.reason].find((text) => typeof text === 'string' && text !== '');
  return typeof says === 'string' ? says : '';
}
