import { createHash } from 'node:crypto';
import { DavyError, errorOfAll, type Position, type Problem } from '../lib/error.ts';
import { formatCount } from '../lib/units.ts';
import { specErrors } from './errors.ts';
import type { Finding } from './finding.ts';
import { lintSpec } from './lint/all.ts';
import { createLocator, type SpecPath } from './locator.ts';
import type { Spec } from './model.ts';
import { normalise } from './normalise.ts';
import { specSchema } from './schema/spec.ts';
import { schemaProblems } from './schema-errors.ts';
import { readYaml } from './yaml-tree.ts';

/** Larger specs are refused: 1 MiB is a thousand times the usual one. */
export const maxSpecBytes = 1_048_576;

/**
 * Reads a spec from its text. `file` is what positions and messages call it.
 *
 * Throws the first error as a DavyError with the others in `more`, in the order of the file, as `errorOfAll` does.
 * Warnings do not throw.
 */
export function parseSpec(
  text: string,
  file: string,
): { spec: Spec; warnings: Finding[]; at: (path: SpecPath) => Position } {
  refuseText(text, file);
  const { tree, problems } = readYaml(text, file);
  throwIfAny(problems);
  if (!tree)
    throw new DavyError(specErrors['missing-field'], 'The spec is empty', {
      position: { file, line: 1, column: 1 },
      next: startHere,
    });
  const locator = createLocator(tree, text);
  const checked = specSchema.safeParse(tree.value);
  if (!checked.success) {
    throwIfAny(schemaProblems(specSchema, checked.error.issues, locator));
    throw checked.error;
  }
  const sha256 = createHash('sha256').update(text).digest('hex');
  const spec = normalise(checked.data, { file, sha256 }, locator.written);
  const findings = lintSpec({ spec, at: locator.value, has: locator.has });
  throwIfAny(findings.filter((finding) => finding.severity === 'error').map(problemOf));
  return { spec, warnings: findings.filter((finding) => finding.severity === 'warning'), at: locator.value };
}

function problemOf(finding: Finding): Problem {
  return {
    position: finding.position,
    error: () => {
      const { code, sentence, position, next } = finding;
      const kind = Object.values(specErrors).find((candidate) => candidate.code === code);
      if (!kind) throw new TypeError(`${code} is not in the catalogue of errors`);
      return new DavyError(kind, sentence, { position, next });
    },
  };
}

const startHere = 'Start with `davy: 1`, `system`, `services` and `policies`; docs/spec.md has a whole example.';

function refuseText(text: string, file: string): void {
  if (text.length > maxSpecBytes) {
    throw new DavyError(
      specErrors['too-large'],
      `The spec has ${formatCount(text.length)} characters; ${formatCount(maxSpecBytes)} bytes is the limit`,
      { position: { file } },
    );
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to find
  const index = text.search(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/);
  const broken = text.isWellFormed()
    ? -1
    : text.search(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/);
  if (index >= 0) {
    const code = text.charCodeAt(index).toString(16).padStart(4, '0');
    throw new DavyError(specErrors['control-character'], `The file contains the control character U+${code}`, {
      position: positionAt(text, index, file),
    });
  }
  if (broken >= 0)
    throw new DavyError(specErrors['not-utf8'], 'The text contains half a character', {
      position: positionAt(text, broken, file),
    });
}

function positionAt(text: string, index: number, file: string): { file: string; line: number; column: number } {
  const before = text.slice(0, index);
  return { file, line: before.split('\n').length, column: index - before.lastIndexOf('\n') };
}

function throwIfAny(problems: Problem[]): void {
  const error = errorOfAll(problems);
  if (error) throw error;
}
