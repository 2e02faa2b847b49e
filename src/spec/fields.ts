import { z } from 'zod';
import { cronProblem } from '../lib/cron.ts';
import {
  formatDurationMs,
  formatPoints,
  formatRatePerSecond,
  formatShare,
  parseDurationMs,
  parsePoints,
  parseRatePerSecond,
  parseShare,
  unitPatterns,
} from '../lib/units.ts';

/** The quantities a field can take; each is text in the file. */
export type Unit = 'duration' | 'share' | 'points' | 'rate';

/** What every field must say about itself; it feeds the JSON Schema, docs/spec.md and the error messages. */
interface About {
  description: string;
  example: unknown;
  /** The value when the field is left out, as it would be written; absent when there is none. */
  default?: unknown;
}

interface QuantityAbout extends About {
  /** Inclusive bounds, written with their unit. */
  min: string;
  max: string;
}

interface UnitTraits {
  parse: (text: string) => number | null;
  format: (value: number) => string;
  /** For messages: "must be …". */
  says: string;
}

export const units: Record<Unit, UnitTraits> = {
  duration: { parse: parseDurationMs, format: formatDurationMs, says: 'a duration such as 250ms, 30s, 5m, 24h or 30d' },
  share: { parse: parseShare, format: formatShare, says: 'a share in percent such as 10%' },
  points: { parse: parsePoints, format: formatPoints, says: 'a difference in percentage points such as 0.1pp' },
  rate: { parse: parseRatePerSecond, format: formatRatePerSecond, says: 'a rate such as 1000/s' },
};

/** The keyword under which a field's unit and range stand in the JSON Schema. */
export const unitKeyword = 'x-davy-unit';

/** How a check reports what is wrong: read by `schema-errors.ts`. */
export interface IssueParams {
  kind:
    | 'wrong-unit'
    | 'out-of-range'
    | 'bad-value'
    | 'bad-name'
    | 'run-syntax'
    | 'run-shell'
    | 'version-source'
    | 'objective-kind'
    | 'health-kind'
    | 'schedule-syntax';
  /** Position inside the text, when the problem has one. */
  index?: number;
}

function metaOf(about: About): { description: string; examples: unknown[]; default?: unknown } {
  const meta: { description: string; examples: unknown[]; default?: unknown } = {
    description: about.description,
    examples: [about.example],
  };
  if (about.default !== undefined) meta.default = about.default;
  return meta;
}

/** Attaches description, example and default to any schema. */
export function field<Schema extends z.ZodType>(schema: Schema, about: About): Schema {
  return schema.meta(metaOf(about)) as Schema;
}

/** Pushes one of our own problems from inside a zod check. */
export function refuse(
  context: { issues: z.core.$ZodRawIssue[]; value: unknown },
  params: IssueParams,
  message: string,
  path: (string | number)[] = [],
): void {
  context.issues.push({ code: 'custom', message, input: context.value, params: { ...params }, path });
}

function quantity(unit: Unit, about: QuantityAbout) {
  const { parse, says } = units[unit];
  const min = parse(about.min);
  const max = parse(about.max);
  if (min === null || max === null) throw new TypeError(`bounds of a ${unit}: ${about.min}, ${about.max}`);
  return z
    .string()
    .check((context) => {
      const value = parse(context.value);
      if (value === null) refuse(context, { kind: 'wrong-unit' }, `must be ${says}`);
      else if (value < min || value > max)
        refuse(context, { kind: 'out-of-range' }, `must be from ${about.min} to ${about.max}`);
    })
    .meta({
      ...metaOf(about),
      pattern: unitPatterns[unit],
      [unitKeyword]: { unit, min: about.min, max: about.max },
    });
}

export const duration = (about: QuantityAbout) => quantity('duration', about);
export const share = (about: QuantityAbout) => quantity('share', about);
export const points = (about: QuantityAbout) => quantity('points', about);
export const rate = (about: QuantityAbout) => quantity('rate', about);

export function integer(about: About & { min: number; max: number }) {
  return field(z.number().int().min(about.min).max(about.max), about);
}

export function ratio(about: About & { min: number; max: number }) {
  return field(z.number().min(about.min).max(about.max), about);
}

export function text(about: About & { max: number }) {
  return field(z.string().min(1).max(about.max), about);
}

/** A text that must match a pattern; `rule` completes "… must …". */
export function named(about: About & { pattern: RegExp; rule: string }) {
  return z
    .string()
    .check((context) => {
      if (!about.pattern.test(context.value)) refuse(context, { kind: 'bad-name' }, `must ${about.rule}`);
    })
    .meta({ ...metaOf(about), pattern: about.pattern.source });
}

/** A point in time in UTC, to the second. */
export function moment(about: About) {
  return z
    .string()
    .check((context) => {
      const ms = Date.parse(context.value);
      // JavaScript reads 30 February as 2 March.
      const isDate = momentPattern.test(context.value) && !Number.isNaN(ms);
      if (!isDate || new Date(ms).toISOString() !== context.value.replace('Z', '.000Z'))
        refuse(context, { kind: 'bad-value' }, 'must be a time such as 2026-12-24T00:00:00Z');
    })
    .meta({ ...metaOf(about), pattern: momentPattern.source });
}

const momentPattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;

/** A cron line that comes due at some time. */
export function cronLine(about: About & { max: number }) {
  return z
    .string()
    .min(1)
    .max(about.max)
    .check((context) => {
      const problem = cronProblem(context.value);
      if (problem) refuse(context, { kind: 'schedule-syntax', index: problem.index }, problem.sentence);
    })
    .meta(metaOf(about));
}

/** Either the word `none`, which switches the feature off, or its settings. */
export function orNone<Schema extends z.ZodType>(settings: Schema, about: About) {
  return field(z.union([z.literal('none'), settings]), about);
}
