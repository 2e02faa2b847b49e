import type { Position } from '../lib/error.ts';
import { didYouMean } from '../lib/nearest.ts';
import type { Literal } from './js-literal.ts';

export type Fields = Extract<Literal, { kind: 'object' }>;

/** What an import has to say of what it reads. */
export interface K6Report {
  /** The load would be another one than k6's. */
  differs(at: Position, sentence: string): void;
  /** Left out, without an effect on when requests are sent. */
  note(sentence: string): void;
}

/** Reads the fields of one object, and reports each that it cannot. A reported field reads as its default, or 0. */
export class FieldReader {
  readonly #place: string;
  readonly #fields: Fields;
  readonly #report: K6Report;

  constructor(place: string, fields: Fields, report: K6Report) {
    this.#place = place;
    this.#fields = fields;
    this.#report = report;
  }

  has(name: string): boolean {
    return this.#fields.entries.has(name);
  }

  refuseUnknown(known: readonly string[]): void {
    for (const [name, { at }] of this.#fields.entries) {
      if (known.includes(name)) continue;
      this.#report.differs(at, `${this.#place}.${name} is not known${didYouMean(name, known)}`);
    }
    for (const { at, text } of this.#fields.unreadable) {
      this.#report.differs(at, `${this.#place}: ${excerpt(text)} has to be run to be known`);
    }
  }

  /** A whole number of 0 or more. `missing` null: the field must be there. */
  count(name: string, missing: number | null): number {
    const value = this.#value(name, missing);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    if (value !== undefined) this.#refuse(name, value, 'a whole number');
    return missing ?? 0;
  }

  durationMs(name: string, missing: number | null): number {
    const value = this.#value(name, missing);
    const ms = typeof value === 'number' || typeof value === 'string' ? k6DurationMs(value) : null;
    if (ms !== null) return ms;
    if (value !== undefined) this.#refuse(name, value, 'a duration such as "30s", or a number of milliseconds');
    return missing ?? 0;
  }

  /** The objects of a list. */
  list(name: string): FieldReader[] {
    const literal = this.#fields.entries.get(name);
    const place = `${this.#place}.${name}`;
    if (literal?.kind !== 'array') {
      this.#report.differs(literal?.at ?? this.#fields.at, `${place} is no list that can be read`);
      return [];
    }
    return literal.items.flatMap((item, i) => {
      if (item.kind === 'object') return new FieldReader(`${place}.${i}`, item, this.#report);
      this.#report.differs(item.at, `${place}.${i} is no object that can be read`);
      return [];
    });
  }

  /** The value; undefined when it was reported already. */
  #value(name: string, missing: number | null): unknown {
    const literal = this.#fields.entries.get(name);
    if (literal === undefined || (literal.kind === 'value' && literal.value == null)) {
      if (missing !== null) return missing;
      this.#report.differs(this.#fields.at, `${this.#place}.${name} is missing`);
      return undefined;
    }
    if (literal.kind === 'value') return literal.value;
    const what =
      literal.kind === 'expression' ? `has to be run to be known: ${excerpt(literal.text)}` : `is ${literal.kind}`;
    this.#report.differs(literal.at, `${this.#place}.${name} ${what}`);
    return undefined;
  }

  #refuse(name: string, value: unknown, wanted: string): void {
    const at = this.#fields.entries.get(name)?.at ?? this.#fields.at;
    this.#report.differs(at, `${this.#place}.${name} is ${JSON.stringify(value)}, not ${wanted}`);
  }
}

const unitsMs: ReadonlyMap<string, number> = new Map([
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['ns', 1e-6],
]);

/** As k6 reads it: a number, or a text without a unit, is milliseconds; days come first, then what Go's time.ParseDuration takes. Null: none, or below 0. */
export function k6DurationMs(value: number | string): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : null;
  if (/^\d+(?:\.\d+)?$/.test(value)) return Number(value);
  const parts = [...value.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|d|h|m|s)/gu)];
  if (parts.length === 0 || parts.map(([text]) => text).join('') !== value) return null;
  if (parts.some(([, count, unit], i) => unit === 'd' && (i > 0 || !/^\d+$/.test(count!)))) return null;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * unitsMs.get(unit!)!, 0);
}

/** A field that is a text; null for anything else. */
export function textOf({ entries }: Fields, name: string): string | null {
  const literal = entries.get(name);
  return literal?.kind === 'value' && typeof literal.value === 'string' ? literal.value : null;
}

export const excerpt = (text: string): string => (text.length <= 60 ? text : `${text.slice(0, 59)}…`);
