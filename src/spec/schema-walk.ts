import type { z } from 'zod';
import { globalRegistry } from 'zod';
import { own } from '../lib/own.ts';
import { type Unit, unitKeyword, units } from './fields.ts';

/** The schema below wrappers: optional fields, and the settings of a `none`-or-settings field. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema._zod;
  if (def.type === 'optional') return unwrap((def as z.core.$ZodOptionalDef).innerType);
  if (def.type === 'union') {
    const { options } = def as z.core.$ZodUnionDef;
    const settings = options.find((option) => option._zod.def.type === 'object');
    return settings ? unwrap(settings) : schema;
  }
  return schema;
}

/** The schema of the value at `path`, or null where the schema knows nothing. */
export function schemaAt(root: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType | null {
  let current: z.core.$ZodType | undefined = root;
  for (const part of path) {
    if (!current) return null;
    const { def }: { def: z.core.$ZodTypeDef } = unwrap(current)._zod;
    if (def.type === 'object') current = own((def as z.core.$ZodObjectDef).shape, String(part));
    else if (def.type === 'record') current = (def as z.core.$ZodRecordDef).valueType;
    else if (def.type === 'array') current = (def as z.core.$ZodArrayDef).element;
    else return null;
  }
  return current ?? null;
}

/** Field names that an object takes; empty for anything else. */
export function knownFields(schema: z.core.$ZodType | null): string[] {
  if (!schema) return [];
  const { def } = unwrap(schema)._zod;
  return def.type === 'object' ? Object.keys((def as z.core.$ZodObjectDef).shape) : [];
}

/** The words that a field accepts: an enumeration, or `none` beside settings. */
export function acceptedWords(schema: z.core.$ZodType | null): string[] {
  if (!schema) return [];
  const whole = optionalInner(schema);
  if (whole._zod.def.type === 'enum') return Object.values((whole._zod.def as z.core.$ZodEnumDef).entries).map(String);
  return unwrap(whole) === whole ? [] : ['none'];
}

/** The example that a field gives of itself. */
export function exampleOf(schema: z.core.$ZodType | null): unknown {
  for (let current = schema; current; ) {
    const examples = globalRegistry.get(current)?.examples;
    if (Array.isArray(examples)) return examples[0];
    const { def } = current._zod;
    current = def.type === 'optional' ? (def as z.core.$ZodOptionalDef).innerType : null;
  }
  return undefined;
}

/** Completes "must be …" for a value of the wrong type. */
export function expectation(schema: z.core.$ZodType | null): string {
  if (!schema) return 'something else';
  const whole = optionalInner(schema);
  const inner = unwrap(whole);
  const orNone = inner === whole ? '' : 'none, or ';
  const { def } = inner._zod;
  if (def.type === 'object') return `${orNone}a map with ${list(knownFields(inner))}`;
  if (def.type === 'record') return 'a map from names to settings';
  if (def.type === 'array') return 'a list';
  if (def.type === 'number') return numberRange(def as z.core.$ZodNumberDef);
  if (def.type === 'enum') return `one of ${list(Object.values((def as z.core.$ZodEnumDef).entries).map(String))}`;
  if (def.type === 'literal') return list((def as z.core.$ZodLiteralDef<z.core.util.Literal>).values.map(String));
  const about = globalRegistry.get(inner)?.[unitKeyword] as { unit: Unit } | undefined;
  if (about) return units[about.unit].says;
  return def.type === 'string' ? 'text' : 'text, a number or true/false';
}

/** `a whole number from 1 to 65535` */
function numberRange(def: z.core.$ZodNumberDef): string {
  const checks = (def.checks ?? []).map((check) => check._zod.def as { check: string; value?: unknown });
  const bound = (name: string) => checks.find(({ check }) => check === name)?.value;
  const whole = checks.some(({ check }) => check === 'number_format');
  return `${whole ? 'a whole number' : 'a number'} from ${bound('greater_than')} to ${bound('less_than')}`;
}

function optionalInner(schema: z.core.$ZodType): z.core.$ZodType {
  return schema._zod.def.type === 'optional' ? (schema._zod.def as z.core.$ZodOptionalDef).innerType : schema;
}

export function list(names: readonly string[]): string {
  return names.join(', ');
}
