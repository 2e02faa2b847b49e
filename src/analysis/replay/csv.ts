import { DavyError } from '../../lib/error.ts';
import { own, setOwn } from '../../lib/own.ts';
import type { InstanceTick, Tick } from '../../metrics/tick.ts';
import { analysisErrors } from '../errors.ts';
import { MAX_TICKS, tooMany } from './jsonl.ts';
import { typicalStepMs } from './replay.ts';

const REQUIRED = ['t', 'version', 'requests', 'errors'] as const;

const KNOWN: ReadonlySet<string> = new Set([...REQUIRED, 'instance']);
const OVER = /^over_(\d+(?:\.\d+)?)$/;
const COLUMNS = 't, version, instance, requests, errors and over_<ms>';

/**
 * Ticks as CSV: a header `t,version,instance,requests,errors,over_50,over_100,…` and one line per instance and tick, in the
 * order of time; `over_<ms>` counts requests slower than that. Without `instance` a version is one instance. A column that is not
 * understood is refused: what it counts would be missing.
 */
export function parseCsv(text: string, file: string, fallbackMs: number): Tick[] {
  const lines = text.split(/\r?\n/);
  const header = (lines[0] ?? '').split(',').map((name) => name.trim().replace(/^"|"$/g, ''));
  const missing = REQUIRED.filter((name) => !header.includes(name));
  if (missing.length > 0) throw bad(file, 1, `the header lacks ${missing.join(', ')}`);
  const twice = header.find((name, i) => header.indexOf(name) < i);
  if (twice !== undefined)
    throw bad(file, 1, `the header has ${twice === '' ? 'two columns without a name' : `${twice} twice`}`);
  const unknown = header.filter((name) => !KNOWN.has(name) && !OVER.test(name));
  if (unknown.length > 0) throw bad(file, 1, `the header has ${unknown.join(', ')}, which is none of ${COLUMNS}`);
  const over = header.flatMap((name, column) => {
    const match = OVER.exec(name);
    return match ? [{ column, edge: Number(match[1]) }] : [];
  });
  over.sort((a, b) => a.edge - b.edge);
  const edges = over.map(({ edge }) => edge);
  const at = (name: string): number => header.indexOf(name);
  const ticks: Tick[] = [];
  for (let i = 1; i < lines.length; i++) {
    const raw = lines[i]!.trim();
    if (raw === '') continue;
    const cells = raw.split(',').map((cell) => cell.trim().replace(/^"|"$/g, ''));
    if (cells.length !== header.length)
      throw bad(file, i + 1, `it has ${cells.length} columns, the header ${header.length}`);
    const number = (column: number): number => (cells[column] === '' ? Number.NaN : Number(cells[column]));
    const t = number(at('t'));
    let tick = ticks[ticks.length - 1];
    if (tick === undefined || tick.t !== t) {
      if (ticks.length >= MAX_TICKS) throw tooMany(file);
      tick = { t, dtMs: fallbackMs, edges, versions: {} };
      ticks.push(tick);
    }
    const row: InstanceTick = {
      instance: at('instance') < 0 ? cells[at('version')]! : cells[at('instance')]!,
      requests: number(at('requests')),
      errors: number(at('errors')),
      over: over.map(({ column }) => number(column)),
    };
    const version = cells[at('version')]!;
    const rows = own(tick.versions, version);
    if (rows === undefined) setOwn(tick.versions, version, [row]);
    else rows.push(row);
  }
  return withIntervals(ticks, file, fallbackMs);
}

/** Fills in each tick's interval: the time since the one before, the usual one where there is none. */
function withIntervals(ticks: Tick[], file: string, fallbackMs: number): Tick[] {
  if (ticks.length === 0)
    throw new DavyError(analysisErrors['no-ticks'], `${file} has no ticks`, { position: { file } });
  const typical = typicalStepMs(
    ticks.map((tick) => tick.t),
    fallbackMs,
  );
  ticks.forEach((tick, i) => {
    const since = i === 0 ? Number.NaN : (tick.t - ticks[i - 1]!.t) * 1000;
    tick.dtMs = since > 0 ? since : typical;
  });
  return ticks;
}

function bad(file: string, line: number, what: string): DavyError {
  return new DavyError(analysisErrors['bad-ticks'], `Line ${line} of ${file}: ${what}`, { position: { file, line } });
}
