import { DavyError, type Position } from '../lib/error.ts';
import type { Finding } from './finding.ts';
import { readSpecText } from './load.ts';
import type { SpecPath } from './locator.ts';
import type { Spec } from './model.ts';
import { parseSpec } from './parse.ts';

export interface CheckResult {
  /** Null when there are errors. */
  spec: Spec | null;
  errors: DavyError[];
  /** Errors beside those, which are only counted. */
  omitted: number;
  /** Only found in a spec without errors. */
  warnings: Finding[];
  /** Where the value at a path stands in the file; null when there are errors. */
  at: ((path: SpecPath) => Position) | null;
  /** The file's text, for excerpts; null when it could not be read as text. */
  text: string | null;
}

/** Checks a spec file and reports everything in it; never throws for bad input. */
export async function checkFile(path: string): Promise<CheckResult> {
  let text: string | null = null;
  try {
    text = await readSpecText(path);
    return { ...parseSpec(text, path), errors: [], omitted: 0, text };
  } catch (error) {
    if (!(error instanceof DavyError)) throw error;
    const { more, omitted } = error;
    return { spec: null, errors: [error, ...more], omitted, warnings: [], at: null, text };
  }
}

/** Errors in the form of findings: what `davy check -o json` lists. */
export function findingsOf({ errors, warnings }: Pick<CheckResult, 'errors' | 'warnings'>): Finding[] {
  return [...errors.map(findingOf), ...warnings];
}

function findingOf({ code, message, position, next }: DavyError): Finding {
  return { code, severity: 'error', sentence: message, next, ...(position && { position }) };
}
