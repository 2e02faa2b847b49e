import { DavyError } from '../lib/error.ts';
import { setOwn } from '../lib/own.ts';
import { ledgerErrors } from './errors.ts';
import type { Json, JsonObject } from './record.ts';
import { REMOVED, type Scrubber } from './scrub.ts';

const MAX_DEPTH = 32;

/** Names of the fields above the one in hand; made into a path only for a refusal. */
type Trail = (string | number)[];

function refuse(trail: Trail, why: string): never {
  const path = trail.map((name, i) => (typeof name === 'number' ? `[${name}]` : i === 0 ? name : `.${name}`)).join('');
  throw new DavyError(ledgerErrors['bad-event'], `${path} ${why}.`);
}

/** Which field names are secret depends on nothing else, and there are few: the first so many are remembered. */
const MAX_KNOWN_NAMES = 1_024;
const secretNames = new Map<string, boolean>();

function isSecretField(name: string, scrubber: Scrubber): boolean {
  const known = secretNames.get(name);
  if (known !== undefined) return known;
  const isSecret = scrubber.isSecretField(name);
  if (secretNames.size < MAX_KNOWN_NAMES && name.length <= 64) secretNames.set(name, isSecret);
  return isSecret;
}

function copyNumber(value: number, trail: Trail): number {
  if (!Number.isFinite(value)) return refuse(trail, `is ${value}, which JSON cannot hold`);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return refuse(trail, 'is an integer beyond 2^53-1, which not every reader keeps; write it as a string');
  }
  return value;
}

function copyValue(value: unknown, trail: Trail, scrubber: Scrubber): Json {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed()
        ? scrubber.text(value)
        : refuse(trail, 'holds half of a surrogate pair, which is not text');
    case 'boolean':
      return value;
    case 'number':
      return copyNumber(value, trail);
    case 'object':
      break;
    default:
      return refuse(trail, `is ${typeof value}, which JSON cannot hold`);
  }
  if (value === null) return null;
  if (trail.length > MAX_DEPTH) return refuse(trail, `is nested deeper than ${MAX_DEPTH}`);
  return Array.isArray(value) ? copyList(value, trail, scrubber) : copyFields(value, trail, scrubber);
}

function copyList(value: unknown[], trail: Trail, scrubber: Scrubber): Json[] {
  const list: Json[] = new Array(value.length);
  for (let i = 0; i < value.length; i++) {
    trail.push(i);
    list[i] = copyValue(value[i], trail, scrubber);
    trail.pop();
  }
  return list;
}

function copyFields(value: object, trail: Trail, scrubber: Scrubber): JsonObject {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return refuse(trail, 'is not a plain object');
  const out: JsonObject = {};
  for (const name of Object.keys(value)) {
    if (name === '__proto__') return refuse(trail, 'has a field __proto__');
    if (!name.isWellFormed()) return refuse(trail, 'has a field name that is not text');
    const field = (value as Record<string, unknown>)[name];
    if (((typeof field === 'object' && field !== null) || typeof field === 'string') && isSecretField(name, scrubber)) {
      setOwn(out, name, REMOVED);
      continue;
    }
    trail.push(name);
    setOwn(out, name, copyValue(field, trail, scrubber));
    trail.pop();
  }
  return out;
}

/**
 * A deep copy that is certain to survive JSON (I-JSON, RFC 7493): what is written, what is returned and what a replay
 * reads are then equal, whatever the caller does to its objects afterwards. Secrets are taken out on the way. Throws `ledger/bad-event` with the path.
 */
export function copyJsonObject(value: unknown, path: string, scrubber: Scrubber): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse([path], 'is not an object');
  return copyFields(value, [path], scrubber);
}
