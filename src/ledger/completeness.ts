import type { LedgerRecord } from './record.ts';

export const HEARTBEAT = 'ledger.heartbeat';
/** A writer that lives is never silent for longer. */
export const HEARTBEAT_EVERY_MS = 60_000;
/** What a heartbeat may be late by: a slow flush, a busy machine. */
const HEARTBEAT_SLACK_MS = 30_000;

export interface Subject {
  kind: 'release' | 'shift' | 'fault';
  name: string;
  fromSeq: number;
  /** Null while it is still under way. */
  toSeq: number | null;
  /** What is missing or out of order; empty means no gap. */
  gaps: string[];
}

/** A time in which the ledger says nothing although its writer lived, or a stop between two writers. */
export interface Silence {
  afterSeq: number;
  from: string;
  to: string;
  kind: 'silent' | 'stopped';
}

export interface Completeness {
  ok: boolean;
  subjects: Subject[];
  silences: Silence[];
  /** Changes in the world that nobody had announced. */
  drifts: { seq: number; says: string }[];
  /** What shows that records before this one are lost. */
  losses: { seq: number; says: string }[];
  /** Records written after the act, because the ledger could not be written at the time. */
  late: number[];
}

const RELEASE_ENDS = new Set(['release.completed', 'release.rolledback', 'release.cancelled']);
const FAULT_ENDS = new Set(['chaos.reverted', 'chaos.cleared']);

/**
 * Holds the records against the rules that make an omission visible: every act has an earlier intent, everything begun
 * has ended or is the newest of its kind, a living writer speaks at least once a minute. A pure fold.
 */
export class CompletenessCheck {
  readonly #subjects = new Map<string, Subject>();
  readonly #silences: Silence[] = [];
  readonly #drifts: { seq: number; says: string }[] = [];
  readonly #losses: { seq: number; says: string }[] = [];
  readonly #late: number[] = [];
  readonly #intended = new Set<number>();
  readonly #armed = new Set<string>();
  #previous: LedgerRecord | null = null;

  accept(record: LedgerRecord): void {
    this.#watchSilence(record);
    if (record.data.late === true) this.#late.push(record.seq);
    if (record.type === 'traffic.held') this.#losses.push(...lossesOf(record));
    if (record.type.endsWith('drift.detected')) this.#drifts.push({ seq: record.seq, says: saysOf(record) });
    if (record.type.startsWith('release.')) this.#release(record);
    else if (record.type === 'traffic.intended' || record.type === 'traffic.applied') this.#shift(record);
    else if (record.type.startsWith('chaos.')) this.#fault(record);
    this.#previous = record;
  }

  result(): Completeness {
    const subjects = [...this.#subjects.values()];
    const ok =
      subjects.every((subject) => subject.gaps.length === 0) &&
      this.#drifts.length === 0 &&
      this.#losses.length === 0 &&
      this.#silences.every((silence) => silence.kind === 'stopped');
    const seen = { silences: this.#silences, drifts: this.#drifts, losses: this.#losses, late: this.#late };
    return { ok, subjects, ...seen };
  }

  #watchSilence(record: LedgerRecord): void {
    const previous = this.#previous;
    if (!previous) return;
    const elapsedMs = Date.parse(record.time) - Date.parse(previous.time);
    if (elapsedMs <= HEARTBEAT_EVERY_MS + HEARTBEAT_SLACK_MS) return;
    const kind = previous.term === record.term ? 'silent' : 'stopped';
    this.#silences.push({ afterSeq: previous.seq, from: previous.time, to: record.time, kind });
  }

  #subject(kind: Subject['kind'], name: string, record: LedgerRecord): Subject {
    const key = `${kind}/${name}`;
    const known = this.#subjects.get(key);
    if (known) return known;
    const subject: Subject = { kind, name, fromSeq: record.seq, toSeq: null, gaps: [] };
    this.#subjects.set(key, subject);
    return subject;
  }

  #release(record: LedgerRecord): void {
    const { release } = record.data;
    if (typeof release !== 'string') return;
    const isKnown = this.#subjects.has(`release/${release}`);
    const subject = this.#subject('release', release, record);
    if (!isKnown && record.type !== 'release.requested') {
      subject.gaps.push(`record ${record.seq} (${record.type}) stands before any request`);
    }
    if (subject.toSeq !== null && record.type === 'release.step.decided') {
      subject.gaps.push(`record ${record.seq} decides a step after the end at ${subject.toSeq}`);
    }
    if (RELEASE_ENDS.has(record.type)) subject.toSeq = record.seq;
  }

  #shift(record: LedgerRecord): void {
    const { generation } = record.data;
    if (typeof generation !== 'number') return;
    const subject = this.#subject('shift', `generation ${generation}`, record);
    if (record.type === 'traffic.intended') {
      this.#intended.add(generation);
      return;
    }
    if (!this.#intended.has(generation))
      subject.gaps.push(`applied at record ${record.seq} without an intent before it`);
    subject.toSeq ??= record.seq;
  }

  #fault(record: LedgerRecord): void {
    const { run } = record.data;
    if (typeof run !== 'string') return;
    const subject = this.#subject('fault', run, record);
    if (record.type === 'chaos.armed') this.#armed.add(run);
    if (record.type === 'chaos.injected' && !this.#armed.has(run)) {
      subject.gaps.push(`injected at record ${record.seq} without being armed before`);
    }
    if (record.type === 'chaos.dirty') subject.gaps.push(`record ${record.seq}: the fault was not shown to be gone`);
    if (record.type === 'chaos.cleared')
      subject.gaps = subject.gaps.filter((gap) => !gap.includes('not shown to be gone'));
    if (FAULT_ENDS.has(record.type)) subject.toSeq = record.seq;
    if (record.type === 'chaos.concluded') subject.toSeq ??= record.seq;
  }
}

function lossesOf({ seq, data }: LedgerRecord): { seq: number; says: string }[] {
  const signs = Array.isArray(data.signs) ? (data.signs as { by?: unknown; says?: unknown }[]) : [];
  return signs.map(({ by, says }) => ({ seq, says: `${String(by)}: ${String(says)}` }));
}

function saysOf(record: LedgerRecord): string {
  const { service, expected, found } = record.data;
  return typeof expected === 'string' && typeof found === 'string'
    ? `${typeof service === 'string' ? `${service}: ` : ''}expected ${expected}, found ${found}`
    : record.type;
}
