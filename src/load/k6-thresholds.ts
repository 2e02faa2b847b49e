import { own } from '../lib/own.ts';
import type { Literal } from './js-literal.ts';
import { excerpt, type Fields, type K6Report, textOf } from './k6-fields.ts';
import type { Sla } from './sla.ts';

/** The promises among k6's thresholds. Those without a counterpart are noted: they change no load. Of two on one figure the stricter holds. */
export function slaOfThresholds(thresholds: Fields, report: K6Report): Sla {
  const sla: Sla = { latency: {}, errorShare: null };
  for (const [metric, literal] of thresholds.entries) {
    for (const one of literal.kind === 'array' ? literal.items : [literal]) {
      const expression = expressionOf(one);
      if (expression === null || !take(metric, expression, sla)) {
        report.note(`thresholds.${metric}: ${expression ?? textOfLiteral(one)} has no counterpart here`);
      } else if (one.kind === 'object' && isTrue(one.entries.get('abortOnFail'))) {
        report.note(`thresholds.${metric}: abortOnFail would end a k6 run early; this one goes on`);
      }
    }
  }
  for (const { text } of thresholds.unreadable) {
    report.note(`thresholds: ${excerpt(text)} has to be run to be known, and was left out`);
  }
  if (Object.keys(sla.latency).length > 0) {
    report.note(
      'thresholds.http_req_duration is held against the time from when a request was to be sent, not from when it was',
    );
  }
  return sla;
}

function expressionOf(literal: Literal): string | null {
  if (literal.kind === 'object') return textOf(literal, 'threshold');
  return literal.kind === 'value' && typeof literal.value === 'string' ? literal.value : null;
}

function textOfLiteral(literal: Literal): string {
  return literal.kind === 'expression' ? excerpt(literal.text) : `a ${literal.kind}`;
}

const isTrue = (literal: Literal | undefined): boolean => literal?.kind === 'value' && literal.value === true;

const quantileOf = { '50': 'p50', '75': 'p75', '90': 'p90', '95': 'p95', '99': 'p99', '99.9': 'p999' } as const;

function take(metric: string, expression: string, sla: Sla): boolean {
  const found = /^\s*(?:p\(\s*(\d+(?:\.\d+)?)\s*\)|(med)|(rate))\s*<=?\s*(\d+(?:\.\d*)?|\.\d+)\s*$/.exec(expression);
  if (found === null) return false;
  const limit = Number(found[4]);
  if (found[3] !== undefined) {
    if (metric !== 'http_req_failed') return false;
    sla.errorShare = Math.min(limit, sla.errorShare ?? limit);
    return true;
  }
  const name = own(quantileOf, found[2] === undefined ? String(Number(found[1])) : '50');
  if (metric !== 'http_req_duration' || name === undefined) return false;
  sla.latency[name] = Math.min(limit, sla.latency[name] ?? limit);
  return true;
}
