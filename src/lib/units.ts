import { own } from './own.ts';

/**
 * The units people write and read: durations `30s 5m 24h 30d 250ms 1h30m`, shares `10%`, percentage points `0.1pp`, rates `1000/s`.
 * Parsers answer null for anything else; nothing is guessed. Formatters write the same notation, so what is shown can be pasted back.
 */

const msPerUnit = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
type DurationUnit = keyof typeof msPerUnit;
const durationUnits = Object.keys(msPerUnit) as DurationUnit[];

/** Patterns of the same notations for JSON Schema (ECMA-262, anchored). */
export const unitPatterns = {
  duration: '^(?=\\d)(\\d{1,9}(\\.\\d{1,9})?(s|m|h|d)|(\\d{1,9}d)?(\\d{1,9}h)?(\\d{1,9}m)?(\\d{1,9}s)?(\\d{1,9}ms)?)$',
  share: '^\\d{1,3}(\\.\\d{1,9})?%$',
  points: '^\\d{1,3}(\\.\\d{1,9})?pp$',
  rate: '^\\d{1,9}(\\.\\d{1,9})?/[smh]$',
} as const;

const percentPattern = /^\d{1,3}(\.\d{1,9})?$/;

/**
 * `30s`, `1.5h`, `1h30m` → milliseconds; null when it is no duration or no whole number of milliseconds.
 * Parts stand from large to small, each unit once; a decimal stands alone.
 */
export function parseDurationMs(text: string): number | null {
  const single = /^(\d{1,9}(?:\.\d{1,9})?)(s|m|h|d)$/.exec(text);
  if (single) return wholeOrNull(Number(single[1]) * own(msPerUnit, single[2]!)!);
  const parts = [...text.matchAll(/(\d{1,9})(ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) return null;
  let total = 0;
  let previous = -1;
  for (const part of parts) {
    const rank = durationUnits.indexOf(part[2] as DurationUnit);
    if (rank <= previous) return null;
    previous = rank;
    total += Number(part[1]) * own(msPerUnit, part[2]!)!;
  }
  return total;
}

/** Decimal input such as `1.1s` is a whole number of milliseconds although its binary product may be off by one unit in the last place. */
function wholeOrNull(value: number): number | null {
  const whole = Math.round(value);
  return Math.abs(value - whole) < 1e-6 ? whole : null;
}

/** `10%` → 0.1. Up to 999 %: the caller knows whether more than 100 % makes sense. */
export function parseShare(text: string): number | null {
  return hundredth(text, '%');
}

/** Percentage points, the unit of differences between shares: `0.1pp` → 0.001. */
export function parsePoints(text: string): number | null {
  return hundredth(text, 'pp');
}

function hundredth(text: string, suffix: string): number | null {
  if (!text.endsWith(suffix)) return null;
  const digits = text.slice(0, -suffix.length);
  if (!percentPattern.test(digits)) return null;
  // The decimal point is moved in the text: dividing by 100 would round twice (99.99 / 100 need not be the double nearest 0.9999).
  return Number(`${digits}e-2`);
}

const perSecond = { s: 1, m: 1 / 60, h: 1 / 3600 } as const;

/** `1000/s`, `90/m`, `20/h` → events per second. */
export function parseRatePerSecond(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,9})?)\/([smh])$/.exec(text);
  return match ? Number(match[1]) * own(perSecond, match[2]!)! : null;
}

/** `5400000` → `1h30m`. Whole milliseconds, 0 and up; fractions are rounded. `parseDurationMs` reads it back. */
export function formatDurationMs(durationMs: number): string {
  let rest = Math.round(durationMs);
  if (rest <= 0) return '0s';
  let text = '';
  for (const unit of durationUnits) {
    const count = Math.floor(rest / msPerUnit[unit]);
    rest -= count * msPerUnit[unit];
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}

/** `0.0512` → `5.12%`. Without `decimals` the exact value as `parseShare` reads it back (9 decimals), else rounded to so many. */
export function formatShare(share: number, decimals?: number): string {
  return `${percentText(share, decimals)}%`;
}

/** `0.001` → `0.1pp`. */
export function formatPoints(share: number, decimals?: number): string {
  return `${percentText(share, decimals)}pp`;
}

/** `1000` basis points → `10%`. */
export function formatWeightBp(weightBp: number): string {
  return formatShare(weightBp / 10_000);
}

/** `300` → `300/s`; at most three decimals. */
export function formatRatePerSecond(rate: number): string {
  return `${trimZeros(rate.toFixed(3))}/s`;
}

/** `812 B`, `1.2 MB`: decimal units, at most two digits that matter below ten. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const text = unit === 0 || value >= 9.95 ? value.toFixed(0) : value.toFixed(1);
  return `${text} ${units[unit]}`;
}

/** `12345` → `12,345`, independent of the machine's locale. */
export function formatCount(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

function percentText(share: number, decimals: number | undefined): string {
  return trimZeros((share * 100).toFixed(decimals ?? 9));
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}
