/** Where in a file a problem stands. Lines and columns count from 1. */
export interface Position {
  file?: string;
  line?: number;
  column?: number;
}

/** Exit codes of the command line (docs/errors.md). */
export type ExitCode = 1 | 2 | 3 | 4 | 5 | 6;

/** One entry of the error catalogue: the stable part of an error. */
export interface ErrorKind {
  /** `<room>/<kebab-case-name>`, unique, never reused for another meaning. */
  code: string;
  /** What the error means, in one sentence. */
  means: string;
  /** What the reader should do next. */
  next: string;
  exit: ExitCode;
  /** HTTP status when the API reports it. */
  http: number;
}

type KindDefinition = Omit<ErrorKind, 'code'>;

/**
 * Declares the errors of one room. Each room has one `errors.ts` that exports the result;
 * `scripts/check-errors.ts` holds docs/errors.md against these declarations both ways.
 */
export function defineErrors<const Names extends string>(
  room: string,
  kinds: Record<Names, KindDefinition>,
): Record<Names, ErrorKind> {
  const entries = Object.entries<KindDefinition>(kinds);
  return Object.fromEntries(entries.map(([name, kind]) => [name, { code: `${room}/${name}`, ...kind }])) as Record<
    Names,
    ErrorKind
  >;
}

interface ErrorExtras {
  position?: Position | undefined;
  /** Overrides the catalogue's next step when the place knows a better one. */
  next?: string | undefined;
  cause?: unknown;
  /** Further findings of the same pass (a spec is reported whole, not one error at a time). */
  more?: DavyError[] | undefined;
  /** Findings beside those in `more` that are only counted. */
  omitted?: number | undefined;
}

/** An expected failure: a code from the catalogue, a sentence, a position and the next step. */
export class DavyError extends Error {
  readonly kind: ErrorKind;
  readonly position: Position | undefined;
  readonly next: string;
  readonly more: DavyError[];
  readonly omitted: number;

  constructor(kind: ErrorKind, sentence: string, extras: ErrorExtras = {}) {
    super(sentence, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.name = 'DavyError';
    this.kind = kind;
    this.position = extras.position;
    this.next = extras.next ?? kind.next;
    this.more = extras.more ?? [];
    this.omitted = extras.omitted ?? 0;
  }

  get code(): string {
    return this.kind.code;
  }
}

/** Of many findings so many are told, in the order of the file; the others are counted. */
export const MAX_TOLD = 50;

/** Something wrong at a place. The error is made only when it is told: naming the nearest known name takes its time. */
export interface Problem {
  position: Position | undefined;
  error: () => DavyError;
}

/** One error for everything that a reading found: the first in the file, with the others; null when there is nothing. */
export function errorOfAll(problems: readonly Problem[]): DavyError | null {
  const inOrder = problems.toSorted((a, b) => byPosition(a.position, b.position));
  const [first, ...more] = inOrder.slice(0, MAX_TOLD).map((problem) => problem.error());
  if (!first) return null;
  const { position, next } = first;
  return new DavyError(first.kind, first.message, { position, next, more, omitted: problems.length - 1 - more.length });
}

function byPosition(a: Position = {}, b: Position = {}): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

/** The message of anything thrown, for logs and records; never a stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
