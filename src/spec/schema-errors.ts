import type { z } from 'zod';
import { DavyError, type ErrorKind, type Position, type Problem } from '../lib/error.ts';
import { didYouMean } from '../lib/nearest.ts';
import { specErrors } from './errors.ts';
import type { IssueParams } from './fields.ts';
import { flowYaml } from './flow.ts';
import { type Locator, type SpecPath, showPath } from './locator.ts';
import { acceptedWords, exampleOf, expectation, knownFields, list, schemaAt } from './schema-walk.ts';

type Issue = z.core.$ZodIssue;

/** What zod found as Davy's errors: code, sentence with the nearest known name, line:column, next step. */
export function schemaProblems(root: z.core.$ZodType, issues: readonly Issue[], locator: Locator): Problem[] {
  return flatten(issues, []).flatMap(({ issue, path }) => translate(root, issue, path, locator));
}

interface Placed {
  issue: Issue;
  path: SpecPath;
}

/** A none-or-settings field reports the problems of the branch that was meant: settings for a map, the field itself otherwise. */
function flatten(issues: readonly Issue[], prefix: SpecPath): Placed[] {
  return issues.flatMap((issue): Placed[] => {
    const path = [...prefix, ...(issue.path as (string | number)[])];
    if (issue.code !== 'invalid_union') return [{ issue, path }];
    const settings = issue.errors.at(-1) ?? [];
    const isMap = !settings.some((inner) => inner.path.length === 0 && inner.code === 'invalid_type');
    return isMap ? flatten(settings, path) : [{ issue, path }];
  });
}

function translate(root: z.core.$ZodType, issue: Issue, path: SpecPath, locator: Locator): Problem[] {
  if (issue.code !== 'unrecognized_keys') {
    const position = placeOf(issue, path, locator);
    return [{ position, error: () => errorFor(root, issue, path, locator, position) }];
  }
  return issue.keys.map((key) => ({
    position: locator.key([...path, key]),
    error: () => unknownField(key, path, knownFields(schemaAt(root, path)), locator),
  }));
}

function placeOf(issue: Issue, path: SpecPath, locator: Locator): Position {
  if (issue.code === 'invalid_key') return locator.key(path);
  if (issue.code === 'custom') return locator.inside(path, (issue.params as IssueParams).index);
  return isMissing(issue, path, locator) ? locator.key(path.slice(0, -1)) : locator.value(path);
}

function isMissing(issue: Issue, path: SpecPath, locator: Locator): boolean {
  return ['invalid_value', 'invalid_type', 'invalid_union'].includes(issue.code) && !locator.has(path);
}

function errorFor(
  root: z.core.$ZodType,
  issue: Issue,
  path: SpecPath,
  locator: Locator,
  position: Position,
): DavyError {
  const schema = schemaAt(root, path);
  const name = showPath(path);
  const error = (kind: ErrorKind, sentence: string, next?: string) => new DavyError(kind, sentence, { position, next });
  switch (issue.code) {
    case 'invalid_key':
      return error(specErrors['bad-name'], `${name}: a name here ${keyRule(issue)}`);
    case 'custom': {
      const params = issue.params as IssueParams;
      return error(specErrors[params.kind], `${name} ${issue.message}${found(locator, path, params)}`);
    }
    case 'too_small':
    case 'too_big':
      return error(specErrors['out-of-range'], `${name} ${bounds(issue, schema)}${found(locator, path, null)}`);
    case 'invalid_value':
    case 'invalid_type':
    case 'invalid_union':
      if (isMissing(issue, path, locator)) return missing(path, schema, position);
      return error(
        issue.code === 'invalid_value' ? specErrors['bad-value'] : specErrors['wrong-type'],
        `${name || 'The spec'} must be ${expectation(schema)}${found(locator, path, null)}${guess(schema, locator.written(path))}`,
        hint(schema, locator, path),
      );
    default:
      return error(specErrors['bad-value'], `${name}: ${issue.message}`);
  }
}

function unknownField(key: string, path: SpecPath, known: string[], locator: Locator): DavyError {
  const where = path.length === 0 ? 'The spec' : showPath(path);
  return new DavyError(specErrors['unknown-field'], `${where} has no field ${key}${didYouMean(key, known)}`, {
    position: locator.key([...path, key]),
    next: `Known fields here: ${list(known)}.`,
  });
}

function missing(path: SpecPath, schema: z.core.$ZodType | null, position: Position): DavyError {
  const parent = path.slice(0, -1);
  const field = String(path.at(-1) ?? '');
  const where = parent.length === 0 ? 'The spec' : showPath(parent);
  const next = `Add it, for example ${inYaml(field, exampleOf(schema))}`;
  return new DavyError(specErrors['missing-field'], `${where} needs ${field}`, { position, next });
}

/** What stands in the file instead, shortened; text in quotes where a number was expected, so that `"8082"` shows why. */
function found(locator: Locator, path: SpecPath, params: IssueParams | null): string {
  if (params && hidden.has(params.kind)) return '';
  const written = locator.written(path);
  if (written === null) return '';
  const short = written.length > 60 ? `${written.slice(0, 60)}…` : written;
  return `, not ${params === null && locator.isText(path) ? `"${short}"` : short}`;
}

/** Problems whose sentence says it all. */
const hidden = new Set<IssueParams['kind']>([
  'version-source',
  'objective-kind',
  'health-kind',
  'run-shell',
  'run-syntax',
  'schedule-syntax',
]);

/** For a value that is nearly one of the accepted ones. */
function guess(schema: z.core.$ZodType | null, written: string | null): string {
  return written === null ? '' : didYouMean(written, acceptedWords(schema));
}

function keyRule(issue: z.core.$ZodIssueInvalidKey): string {
  return issue.issues[0]?.message ?? 'is not accepted';
}

function bounds(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig, schema: z.core.$ZodType | null): string {
  const limit = String(issue.code === 'too_small' ? issue.minimum : issue.maximum);
  const side = issue.code === 'too_small' ? 'at least' : 'at most';
  if (issue.origin === 'string') return `must have ${side} ${limit} characters`;
  if (issue.origin === 'array') return `must have ${side} ${limit} ${limit === '1' ? 'entry' : 'entries'}`;
  return `must be ${expectation(schema)}`;
}

/** A number where text is expected is nearly always a missing pair of quotes or a missing unit. */
function hint(schema: z.core.$ZodType | null, locator: Locator, path: SpecPath): string | undefined {
  const written = locator.written(path);
  if (written !== null && expectation(schema) === 'text') return `Put it in quotes: "${written}".`;
  const example = exampleOf(schema);
  const field = path.at(-1);
  if (example === undefined) return undefined;
  return `Write it like ${typeof field === 'string' ? inYaml(field, example) : flowYaml(example)}`;
}

function inYaml(field: string, example: unknown): string {
  return `${field}: ${flowYaml(example)}`;
}
