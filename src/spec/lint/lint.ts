import type { ErrorKind, Position } from '../../lib/error.ts';
import type { Finding } from '../finding.ts';
import type { SpecPath } from '../locator.ts';
import type { Spec } from '../model.ts';

/** What a lint sees: the normalised spec, and where things stand in the file. */
export interface LintContext {
  spec: Spec;
  /** Place of the value at a path, or of the nearest thing around it that is written. */
  at(path: SpecPath): Position;
  /** Place of the key at a path, or of the nearest thing around it. */
  keyAt(path: SpecPath): Position;
}

/** One rule over the whole spec; pure. */
export type Lint = (context: LintContext) => Finding[];

export function errorFinding(kind: ErrorKind, sentence: string, position: Position, next = kind.next): Finding {
  return { code: kind.code, severity: 'error', sentence, position, next };
}
