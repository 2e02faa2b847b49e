const MAX_KEYS = 10_000;

/** Idempotency keys and the release that each command touched (empty when it was none), the newest 10,000. */
export function rememberKey(keys: Record<string, string>, key: string, release: string): Record<string, string> {
  const entries = Object.entries(keys);
  const kept = entries.length < MAX_KEYS ? entries : entries.slice(entries.length - MAX_KEYS + 1);
  return Object.fromEntries([...kept, [key, release]]);
}
