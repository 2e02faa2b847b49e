import { isolated, oneLine } from '../../src/lib/outside-text/visible.ts';

/**
 * A document of the API as the page shows it: every text in it is one line of visible characters, and text from right to
 * left is set apart, so that nobody's words reorder or hide what stands beside them. Names of fields are the API's own.
 */
export function shown<T>(document: T): T {
  return show(document) as T;
}

function show(value: unknown): unknown {
  if (typeof value === 'string') return isolated(oneLine(value));
  if (Array.isArray(value)) return value.map(show);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [show(name), show(inner)]));
}
