/** What a value that came from outside is. A plain comparison would not do: `true > 0`, `[] <= 1` and `/x/.test(null)` all hold. */

export function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A finite number within both bounds. */
export function isBetween(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && value >= min && value <= max && Number.isFinite(value);
}

/** A finite number above 0. */
export function isPositive(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && Number.isFinite(value);
}

export function isShare(value: unknown): value is number {
  return isBetween(value, 0, 1);
}

/** A string that the whole pattern describes. */
export function isText(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}

export function isTextOrNull(value: unknown): value is string | null | undefined {
  return value == null || typeof value === 'string';
}

export function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}
