import { DavyError } from '../lib/error.ts';
import { own } from '../lib/own.ts';
import { parseDurationMs } from '../lib/units.ts';
import { loadErrors } from './errors.ts';
import { readYaml } from './load-file.ts';
import type { LoadStage } from './plan.ts';
import type { Sla } from './sla.ts';

/** What of k6's options can be taken over: arrival rates and thresholds. */
export interface K6Import {
  stages: LoadStage[];
  sla: Sla;
  /** What could not be taken over, and why; nothing is dropped in silence. */
  notes: string[];
}

type Fields = Record<string, unknown>;

/**
 * Reads k6's options: a JSON file, or the object literal after `export const options =` in a script. Nothing is run.
 * Arrival-rate executors are the same open model; VU executors are a closed one and are refused with the reason.
 */
export function importK6Options(content: string): K6Import {
  const options = readYaml(optionsText(content));
  if (!isFields(options)) throw new DavyError(loadErrors['bad-plan'], 'No k6 options were found in the file.');
  const notes: string[] = [];
  const stages = Object.entries(isFields(options.scenarios) ? options.scenarios : {}).flatMap(([name, scenario]) =>
    isFields(scenario) ? scenarioStages(name, scenario, notes) : [],
  );
  if (options.stages !== undefined || options.vus !== undefined || options.iterations !== undefined) {
    notes.push('vus, stages and iterations describe a closed model (users that wait for answers); give a rate instead');
  }
  for (const name of Object.keys(options)) {
    if (!known.has(name)) notes.push(`${name} has no counterpart here`);
  }
  return { stages, sla: thresholds(isFields(options.thresholds) ? options.thresholds : {}, notes), notes };
}

const known = new Set(['scenarios', 'thresholds', 'stages', 'vus', 'iterations']);

function optionsText(content: string): string {
  const start = /export\s+(?:const|let|var)\s+options\s*=\s*/.exec(content);
  if (!start) return content;
  const from = start.index + start[0].length;
  const literal = content.slice(from, endOfLiteral(content, from));
  // What is left of JavaScript is read as YAML's flow style, which shares quotes, lists, maps and trailing commas.
  return literal.replace(/\/\*[\s\S]*?\*\/|(^|[\s,{[])\/\/[^\n]*/g, '$1');
}

function endOfLiteral(text: string, from: number): number {
  let depth = 0;
  let quote = '';
  for (let i = from; i < text.length; i++) {
    const char = text[i]!;
    if (quote !== '') {
      if (char === '\\') i++;
      else if (char === quote) quote = '';
    } else if (char === '"' || char === "'" || char === '`') quote = char;
    else if (char === '{' || char === '[') depth++;
    else if ((char === '}' || char === ']') && --depth === 0) return i + 1;
  }
  throw new DavyError(loadErrors['bad-plan'], 'The k6 options are not a complete object literal.');
}

function scenarioStages(name: string, scenario: Fields, notes: string[]): LoadStage[] {
  const unitMs = parseDurationMs(String(scenario.timeUnit ?? '1s')) ?? 1000;
  const perSecond = (value: unknown): number => (Number(value) * 1000) / unitMs;
  if (scenario.executor === 'constant-arrival-rate') {
    const rate = perSecond(scenario.rate);
    const durationMs = parseDurationMs(String(scenario.duration));
    if (Number.isFinite(rate) && durationMs !== null) return [{ fromPerSecond: rate, toPerSecond: rate, durationMs }];
  }
  if (scenario.executor === 'ramping-arrival-rate' && Array.isArray(scenario.stages)) {
    let last = perSecond(scenario.startRate ?? 0);
    return scenario.stages.filter(isFields).flatMap((stage) => {
      const fromPerSecond = last;
      last = perSecond(stage.target);
      const durationMs = parseDurationMs(String(stage.duration));
      return durationMs ? [{ fromPerSecond, toPerSecond: last, durationMs }] : [];
    });
  }
  notes.push(`scenario ${name}: ${String(scenario.executor)} is a closed model or has no rate; it was left out`);
  return [];
}

function thresholds(given: Fields, notes: string[]): Sla {
  const sla: Sla = { latency: {}, errorShare: null };
  for (const [metric, list] of Object.entries(given)) {
    for (const entry of [list].flat()) {
      const expression = isFields(entry) ? String(entry.threshold) : String(entry);
      if (!takeThreshold(metric, expression, sla))
        notes.push(`threshold ${metric}: ${expression} has no counterpart here`);
    }
  }
  return sla;
}

const quantileOf = { '50': 'p50', '75': 'p75', '90': 'p90', '95': 'p95', '99': 'p99', '99.9': 'p999' } as const;

function takeThreshold(metric: string, expression: string, sla: Sla): boolean {
  const latency = /^\s*(?:p\((\d+(?:\.\d+)?)\)|(med))\s*<=?\s*(\d+(?:\.\d+)?)\s*$/.exec(expression);
  const name = own(quantileOf, latency?.[2] ? '50' : (latency?.[1] ?? ''));
  if (metric === 'http_req_duration' && latency && name) {
    sla.latency[name] = Number(latency[3]);
    return true;
  }
  const errors = /^\s*rate\s*<=?\s*(\d+(?:\.\d+)?)\s*$/.exec(expression);
  if (metric !== 'http_req_failed' || !errors) return false;
  sla.errorShare = Number(errors[1]);
  return true;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
