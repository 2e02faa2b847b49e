import { MAX_TOLD, type Position } from '../lib/error.ts';

/** What a check of the spec found. An error keeps the spec from being used, a warning does not. */
export interface Finding {
  /** `spec/<kebab-case-name>`: errors stand in docs/errors.md, warnings in docs/spec.md. */
  code: string;
  severity: 'error' | 'warning';
  sentence: string;
  position?: Position;
  /** What the reader should do next. */
  next: string;
}

/** As many findings as people read, and how many there are. */
export interface Told {
  shown: Finding[];
  errors: number;
  warnings: number;
}

/** `omitted` errors are not among the findings any more. */
export function told(findings: readonly Finding[], omitted = 0): Told {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return { shown: findings.slice(0, MAX_TOLD), errors: errors + omitted, warnings: findings.length - errors };
}
