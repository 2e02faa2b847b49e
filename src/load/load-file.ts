import { type Document, isNode, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { DavyError, errorOfAll, messageOf, type Position } from '../lib/error.ts';
import { listed } from '../lib/nearest.ts';
import { parseDurationMs, parseRatePerSecond, parseShare } from '../lib/units.ts';
import { loadErrors } from './errors.ts';
import { type LoadPlan, planDefaults } from './plan.ts';
import type { Sla } from './sla.ts';

/** A load file holds a mix of requests, how they arrive, and what was promised. */
export interface LoadFile {
  plan: LoadPlan;
  sla: Sla;
  /** Where the certificates that the targets' own are checked against stand, relative to the load file; null: Node's list is used. */
  caFile: string | null;
}

const maxFileBytes = 1024 * 1024;
const maxAliasCount = 20;

const duration = text('a duration such as 30s', parseDurationMs);
const rate = text('a rate such as 100/s', parseRatePerSecond);
const share = text('a share such as 1%', parseShare);

const status = z.number().int().min(200).max(599);

const target = z.strictObject({
  name: z.string().min(1).max(60).optional(),
  url: z.string().max(2_000),
  method: z.string().default('GET'),
  headers: z.record(z.string(), z.string()).default({}),
  body: z
    .string()
    .max(256 * 1024)
    .optional(),
  weight: z.number().positive().default(1),
  expect: z
    .strictObject({
      status: z.union([status, z.array(status).min(1)]).optional(),
      includes: z.string().max(1_000).optional(),
    })
    .optional(),
});

const fileSchema = z.strictObject({
  targets: z.array(target).min(1).max(100),
  rate: rate.optional(),
  for: duration.optional(),
  stages: z
    .array(
      z
        .strictObject({ rate: rate.optional(), from: rate.optional(), to: rate.optional(), for: duration })
        .refine((stage) => (stage.rate === undefined) !== (stage.to === undefined), 'needs either rate or to')
        .refine(
          (stage) => stage.rate === undefined || stage.from === undefined,
          'goes from a rate only to another: give to',
        ),
    )
    .min(1)
    .max(1_000)
    .optional(),
  arrivals: z.enum(['poisson', 'uniform']).default('poisson'),
  warmup: duration.default(planDefaults.warmupMs),
  timeout: duration.default(planDefaults.timeoutMs),
  connections: z.number().int().default(planDefaults.maxConnections),
  keepAlive: z.boolean().default(planDefaults.keepAlive),
  tls: z
    .strictObject({
      ca: z.string().min(1).max(1_000).optional(),
      serverName: z.string().max(253).optional(),
      verify: z.boolean().default(true),
    })
    .default({ verify: true }),
  seed: z.number().int().default(planDefaults.seed),
  sla: z
    .strictObject({
      p50: duration,
      p75: duration,
      p90: duration,
      p95: duration,
      p99: duration,
      'p99.9': duration,
      errors: share,
    })
    .partial()
    .default({}),
});

/**
 * Reads a load file (YAML or JSON); `name` is what positions call it. Throws `load/bad-plan` with the first problem and the others in
 * `more`, each with its line and column.
 */
export function parseLoadFile(content: string, name: string): LoadFile {
  const lines = new LineCounter();
  const document = readDocument(content, lines);
  const raw = fileSchema.safeParse(plainValue(document));
  if (!raw.success) {
    const problems = raw.error.issues.map((issue) => {
      const position = { file: name, ...placeOf(document, issue.path, lines) };
      return { position, error: () => bad(sentenceOf(document, issue), position) };
    });
    throw errorOfAll(problems) ?? raw.error;
  }
  const file = raw.data;
  const { p50, p75, p90, p95, p99, 'p99.9': p999, errors } = file.sla;
  const latency = Object.fromEntries(
    Object.entries({ p50, p75, p90, p95, p99, p999 }).filter(([, ms]) => ms !== undefined),
  ) as Sla['latency'];
  return { plan: planOf(file), sla: { latency, errorShare: errors ?? null }, caFile: file.tls.ca ?? null };
}

function planOf(file: z.infer<typeof fileSchema>): LoadPlan {
  if ((file.rate === undefined) === (file.stages === undefined)) throw bad('Give either rate (with for) or stages.');
  if (file.stages !== undefined && file.for !== undefined)
    throw bad('Each stage says how long it lasts: leave out for.');
  const steady = file.rate ?? 0;
  let last = 0;
  const stages = file.stages?.map((stage) => {
    const fromPerSecond = stage.rate ?? stage.from ?? last;
    last = stage.rate ?? stage.to ?? last;
    return { fromPerSecond, toPerSecond: last, durationMs: stage.for };
  }) ?? [{ fromPerSecond: steady, toPerSecond: steady, durationMs: file.for ?? 60_000 }];
  return {
    targets: file.targets.map((one, i) => ({
      name: one.name ?? `target-${i + 1}`,
      ...{ url: one.url, method: one.method, headers: one.headers, body: one.body ?? null, weight: one.weight },
      check: one.expect
        ? {
            statuses: one.expect.status === undefined ? null : [one.expect.status].flat(),
            bodyIncludes: one.expect.includes ?? null,
          }
        : null,
    })),
    model: { kind: 'open', arrivals: file.arrivals, stages },
    ...{ seed: file.seed, warmupMs: file.warmup, timeoutMs: file.timeout, maxConnections: file.connections },
    maxOutstanding: planDefaults.maxOutstanding,
    keepAlive: file.keepAlive,
    tls: { ca: null, serverName: file.tls.serverName ?? null, verify: file.tls.verify },
  };
}

function readDocument(content: string, lineCounter: LineCounter): Document {
  if (content.length > maxFileBytes)
    throw bad(`The file has ${content.length} characters; ${maxFileBytes} is the limit.`);
  const document = parseDocument(content, { schema: 'core', lineCounter });
  const [error] = document.errors;
  if (error) throw bad(error.message.split('\n')[0] ?? '');
  return document;
}

function plainValue(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount });
  } catch (error) {
    throw bad(messageOf(error));
  }
}

function sentenceOf(document: Document, issue: z.core.$ZodIssue): string {
  const where = issue.path.join('.') || 'The file';
  if (issue.code === 'unrecognized_keys') return `${where} has no field ${listed(issue.keys)}.`;
  if (!document.hasIn(issue.path)) return `${where} is missing.`;
  return `${where} ${issue.code === 'custom' ? issue.message : `is not right: ${issue.message}`}.`;
}

/** Where the path stands in the file, or the nearest thing around it. */
function placeOf(document: Document, path: readonly PropertyKey[], lines: LineCounter): Position {
  for (let depth = path.length; depth >= 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) {
      const { line, col } = lines.linePos(node.range[0]);
      return { line, column: col };
    }
  }
  return { line: 1, column: 1 };
}

function text<T>(what: string, parseText: (input: string) => T | null) {
  return z.string().transform((input, context): T => {
    const value = parseText(input);
    if (value !== null) return value;
    context.addIssue({ code: 'custom', message: `"${input.slice(0, 50)}" is not ${what}` });
    return z.NEVER;
  });
}

function bad(sentence: string, position?: Position): DavyError {
  return new DavyError(loadErrors['bad-plan'], sentence, { position });
}
