import { DavyError } from '../lib/error.ts';
import { ledgerErrors } from './errors.ts';
import type { Json, JsonObject } from './record.ts';
import { REMOVED, type Scrubber } from './scrub.ts';

const MAX_DEPTH = 32;

function refuse(path: string, why: string): never {
  throw new DavyError(ledgerErrors['bad-event'], `${path} ${why}.`);
}

function copyValue(value: unknown, path: string, depth: number, scrubber: Scrubber): Json {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed()
        ? scrubber.text(value)
        : refuse(path, 'holds half of a surrogate pair, which is not text');
    case 'boolean':
      return value;
    case 'number':
      if (!Number.isFinite(value)) return refuse(path, `is ${value}, which JSON cannot hold`);
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        return refuse(path, 'is an integer beyond 2^53-1, which not every reader keeps; write it as a string');
      }
      return value;
    case 'object':
      break;
    default:
      return refuse(path, `is ${typeof value}, which JSON cannot hold`);
  }
  if (value === null) return null;
  if (depth >= MAX_DEPTH) return refuse(path, `is nested deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) {
    const list: Json[] = new Array(value.length);
    for (let i = 0; i < value.length; i++) list[i] = copyValue(value[i], `${path}[${i}]`, depth + 1, scrubber);
    return list;
  }
  return copyFields(value, path, depth, scrubber);
}

function copyFields(value: object, path: string, depth: number, scrubber: Scrubber): JsonObject {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return refuse(path, 'is not a plain object');
  const out: JsonObject = {};
  for (const name of Object.keys(value)) {
    if (name === '__proto__') return refuse(path, 'has a field __proto__');
    if (!name.isWellFormed()) return refuse(path, 'has a field name that is not text');
    const field = (value as Record<string, unknown>)[name];
    out[name] =
      (typeof field === 'string' || (typeof field === 'object' && field !== null)) && scrubber.isSecretField(name)
        ? REMOVED
        : copyValue(field, `${path}.${name}`, depth + 1, scrubber);
  }
  return out;
}

/**
 * A deep copy that is certain to survive JSON (I-JSON, RFC 7493): what is written, what is returned and what a replay
 * reads are then equal, whatever the caller does to its objects afterwards. Secrets are taken out on the way. Throws `ledger/bad-event` with the path.
 */
export function copyJsonObject(value: unknown, path: string, scrubber: Scrubber): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(path, 'is not an object');
  return copyFields(value, path, 0, scrubber);
}
