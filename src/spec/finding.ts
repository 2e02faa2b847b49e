import type { Position } from '../lib/error.ts';

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
