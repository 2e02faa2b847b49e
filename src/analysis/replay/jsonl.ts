import { DavyError } from '../../lib/error.ts';
import type { Tick } from '../../metrics/tick.ts';
import { analysisErrors } from '../errors.ts';
import { typicalStepMs } from './replay.ts';

/** More ticks than this are refused: 2 million is 23 days of one-second looks. */
export const MAX_TICKS = 2_000_000;

/**
 * Ticks as JSON lines: `{"t": seconds, "edges": [ms, …], "versions": {"v1": [{"instance", "requests", "errors", "over": […]}]}}`.
 * Only the form is checked here. What the counts say (NaN, negative, changed edges) is the judge's to name; it must see it.
 */
export function parseJsonLines(text: string, file: string, fallbackMs: number): Tick[] {
  const rows: { value: Record<string, unknown>; line: number }[] = [];
  let line = 0;
  for (const raw of text.split('\n')) {
    line++;
    const trimmed = raw.trim();
    if (trimmed === '') continue;
    if (rows.length >= MAX_TICKS) throw tooMany(file);
    rows.push({ value: parseLine(trimmed, file, line), line });
  }
  if (rows.length === 0)
    throw new DavyError(analysisErrors['no-ticks'], `${file} has no ticks`, { position: { file } });
  const times = rows.map(({ value }) => (typeof value.t === 'number' ? value.t : Number.NaN));
  const typical = typicalStepMs(times, fallbackMs);
  return rows.map(({ value }, i) => ({ ...value, dtMs: intervalMs(value, times, i, typical) }) as unknown as Tick);
}

function intervalMs(value: Record<string, unknown>, times: readonly number[], i: number, typicalMs: number): number {
  if (typeof value.dtMs === 'number') return value.dtMs;
  const since = i === 0 ? Number.NaN : (times[i]! - times[i - 1]!) * 1000;
  return since > 0 ? since : typicalMs;
}

function parseLine(text: string, file: string, line: number): Record<string, unknown> {
  const value = jsonOf(text) ?? jsonOf(withoutBareNumbers(text));
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new DavyError(
    analysisErrors['bad-ticks'],
    `Line ${line} of ${file} is not a JSON object: ${text.slice(0, 80)}`,
    {
      position: { file, line },
    },
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Some exporters write NaN and Infinity, which JSON does not have: they become null, which the judge refuses by name. */
function withoutBareNumbers(text: string): string {
  return text.replace(/([:[,]\s*)-?(?:NaN|Infinity|nan|inf|Inf)(?=\s*[,}\]])/g, '$1null');
}

export function tooMany(file: string): DavyError {
  return new DavyError(analysisErrors['too-many-ticks'], `${file} has more than ${MAX_TICKS} ticks`, {
    position: { file },
  });
}
