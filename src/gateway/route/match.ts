import type { HeaderCondition, HeaderRule } from '../../traffic/model.ts';
import { ascii, COMMA, equalsNoCase } from '../http1/bytes.ts';
import type { Head } from '../http1/head.ts';

interface Condition {
  name: Buffer;
  match: HeaderCondition['match'];
  value: Buffer;
}

/** A route's header rules, ready for octets. */
export class RuleList {
  private readonly rules: { when: Condition[]; to: HeaderRule['to'] }[];

  constructor(rules: readonly HeaderRule[]) {
    this.rules = rules.map(({ when, to }) => ({
      when: when.map(({ header, match, value }) => ({ name: ascii(header), match, value: ascii(value) })),
      to,
    }));
  }

  /** Where the first rule that matches sends the request; null when none does. */
  decide(head: Head, buf: Uint8Array): HeaderRule['to'] | null {
    for (const rule of this.rules) {
      if (rule.when.every((condition) => holds(condition, head, buf))) return rule.to;
    }
    return null;
  }
}

function holds(condition: Condition, head: Head, buf: Uint8Array): boolean {
  const index = findOnly(head, buf, condition.name);
  if (condition.match === 'absent') return index === -1;
  if (condition.match === 'present') return index !== -1;
  if (index < 0) return false;
  const start = head.valueStart[index]!;
  const end = head.valueEnd[index]!;
  const { value } = condition;
  if (end - start < value.length || (condition.match === 'exact' && end - start !== value.length)) return false;
  for (let i = 0; i < value.length; i++) if (buf[start + i] !== value[i]) return false;
  for (let i = start; i < end; i++) if (buf[i] === COMMA) return false;
  return true;
}

/** Index of the one field of that name; -1 when there is none, -2 when there are several: then nobody can say which one counts. */
export function findOnly(head: Head, buf: Uint8Array, name: Uint8Array): number {
  let found = -1;
  for (let i = 0; i < head.count; i++) {
    if (!equalsNoCase(buf, head.lineStart[i]!, head.nameEnd[i]!, name)) continue;
    if (found >= 0) return -2;
    found = i;
  }
  return found;
}
