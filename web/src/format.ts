/** What people read. Names of services and metrics never pass through here: they are text nodes as they are. */

export function percent(share: number | null, digits = 1): string {
  if (share === null) return '–';
  const value = share * 100;
  if (value !== 0 && Math.abs(value) < 0.1) return `${value.toPrecision(2)} %`;
  return `${Number(value.toFixed(digits))} %`;
}

export function weight(bp: number | null): string {
  return bp === null ? 'unknown' : percent(bp / 10_000, 2);
}

export function count(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ' ');
}

export function rate(perSecond: number): string {
  return `${perSecond >= 100 ? Math.round(perSecond) : Number(perSecond.toFixed(1))}/s`;
}

export function ms(value: number | null): string {
  if (value === null) return '–';
  return value >= 1000 ? `${Number((value / 1000).toFixed(2))} s` : `${Number(value.toFixed(value < 10 ? 1 : 0))} ms`;
}

/** `1 h 5 min`, `42 s`: the two largest units that are not nothing. */
export function duration(valueMs: number): string {
  const seconds = Math.max(0, Math.round(valueMs / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return both(seconds, 60, 'min', 1, 's');
  if (seconds < 86_400) return both(seconds, 3600, 'h', 60, 'min');
  return both(seconds, 86_400, 'd', 3600, 'h');
}

function both(seconds: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeUnit}${rest > 0 ? ` ${rest} ${smallUnit}` : ''}`;
}

/** A time that was measured: milliseconds as long as they matter. */
export function measured(valueMs: number): string {
  return valueMs < 10_000 ? ms(valueMs) : duration(valueMs);
}

export function evidence(value: number): string {
  if (value >= 10_000) return value.toExponential(1);
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
});
const dayFormat = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

export function localTime(atMs: number): string {
  const today = new Date().toDateString() === new Date(atMs).toDateString();
  return today ? clockFormat.format(atMs) : `${dayFormat.format(atMs)} ${clockFormat.format(atMs)}`;
}

export function utc(atMs: number): string {
  return `${new Date(atMs).toISOString().replace('T', ' ').replace('Z', '')} UTC`;
}
