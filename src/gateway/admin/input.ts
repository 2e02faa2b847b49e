/** A call whose body cannot be what it should be: 400, with these words. */
export class BadInput extends Error {}

/** Far more than a table has; what is deeper could not be written down again. */
const MAX_DEPTH = 32;

/** The body's JSON, in so many words an object. Throws `BadInput`. */
export function readObject(body: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new BadInput('The body is not JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BadInput('The body must be a JSON object.');
  }
  if (!isWithin(value, MAX_DEPTH)) throw new BadInput(`The body is nested deeper than ${MAX_DEPTH}.`);
  return value as Record<string, unknown>;
}

function isWithin(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((inner) => isWithin(inner, depth - 1));
}

/** A list of at most `max` strings. Throws `BadInput`. */
export function readNames(value: unknown, name: string, max: number): string[] {
  if (Array.isArray(value) && value.length <= max && value.every((one) => typeof one === 'string')) return value;
  throw new BadInput(`${name} must be a list of at most ${max} strings.`);
}
