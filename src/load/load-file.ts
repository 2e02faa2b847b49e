import { parse } from 'yaml';
import { z } from 'zod';
import { DavyError, messageOf } from '../lib/error.ts';
import { parseDurationMs, parseRatePerSecond, parseShare } from '../lib/units.ts';
import { loadErrors } from './errors.ts';
import { type LoadPlan, planDefaults } from './plan.ts';
import type { Sla } from './sla.ts';

/** A load file holds a mix of requests, how they arrive, and what was promised. */
export interface LoadFile {
  plan: LoadPlan;
  sla: Sla;
  /** Things that could not be taken over (k6 options), in words. */
  notes: string[];
}

const maxFileBytes = 1024 * 1024;

const duration = text('a duration such as 30s', parseDurationMs);
const rate = text('a rate such as 100/s', parseRatePerSecond);
const share = text('a share such as 1%', parseShare);

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
      status: z.union([z.number(), z.array(z.number())]).optional(),
      includes: z.string().max(1_000).optional(),
    })
    .optional(),
});

const fileSchema = z.strictObject({
  targets: z.array(target).min(1).max(100),
  rate: rate.optional(),
  for: duration.optional(),
  stages: z
    .array(z.strictObject({ from: rate.optional(), to: rate, for: duration }))
    .min(1)
    .max(1_000)
    .optional(),
  arrivals: z.enum(['poisson', 'uniform']).default('poisson'),
  warmup: duration.default(planDefaults.warmupMs),
  timeout: duration.default(planDefaults.timeoutMs),
  connections: z.number().int().default(planDefaults.maxConnections),
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

/** Reads a load file (YAML or JSON). Throws `load/bad-plan` with the field's name. */
export function parseLoadFile(content: string): LoadFile {
  const raw = fileSchema.safeParse(readYaml(content));
  if (!raw.success) {
    const [issue] = raw.error.issues;
    throw bad(`${issue?.path.join('.') || 'The file'}: ${issue?.message}`);
  }
  const file = raw.data;
  const { p50, p75, p90, p95, p99, 'p99.9': p999, errors } = file.sla;
  const latency = Object.fromEntries(
    Object.entries({ p50, p75, p90, p95, p99, p999 }).filter(([, ms]) => ms !== undefined),
  ) as Sla['latency'];
  return { plan: planOf(file), sla: { latency, errorShare: errors ?? null }, notes: [] };
}

function planOf(file: z.infer<typeof fileSchema>): LoadPlan {
  if ((file.rate === undefined) === (file.stages === undefined)) throw bad('Give either rate (with for) or stages.');
  const steady = file.rate ?? 0;
  let last = 0;
  const stages = file.stages?.map((stage) => {
    const fromPerSecond = stage.from ?? last;
    last = stage.to;
    return { fromPerSecond, toPerSecond: stage.to, durationMs: stage.for };
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
  };
}

export function readYaml(content: string): unknown {
  if (content.length > maxFileBytes)
    throw bad(`The file has ${content.length} characters; ${maxFileBytes} is the limit.`);
  try {
    return parse(content, { maxAliasCount: 20, schema: 'core' });
  } catch (error) {
    throw bad(messageOf(error).split('\n')[0] ?? '');
  }
}

function text<T>(what: string, parseText: (input: string) => T | null) {
  return z.string().transform((input, context): T => {
    const value = parseText(input);
    if (value !== null) return value;
    context.addIssue({ code: 'custom', message: `"${input.slice(0, 50)}" is not ${what}` });
    return z.NEVER;
  });
}

function bad(sentence: string): DavyError {
  return new DavyError(loadErrors['bad-plan'], sentence);
}
