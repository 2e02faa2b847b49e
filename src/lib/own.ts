/**
 * Records by names that came from outside: a request, a spec, a ledger, another process. Plain indexing would also find
 * what every object inherits (`constructor`, `toString`, `__proto__`), and writing `__proto__` would change what it
 * inherits. `scripts/lookups.ts` holds that the product reads and writes such names through these two only.
 */

/** What the record itself holds under the name. */
export function own<V>(record: Readonly<Record<string, V>> | undefined, name: string): V | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Makes the name a property of the record itself, whatever the name is. */
export function setOwn<V>(record: Record<string, V>, name: string, value: V): void {
  if (name !== '__proto__') record[name] = value;
  else Object.defineProperty(record, name, { value, writable: true, enumerable: true, configurable: true });
}
