import { z } from 'zod';

/** The API's contract: types, validation and OpenAPI come from here. */

const phase = z.enum(['requested', 'progressing', 'watching', 'completed', 'rolled-back', 'cancelled']);
const weightBp = z.number().int().min(0).max(10_000).describe('Basis points of traffic: 1000 is 10 %.');

const metricEvidence = z.object({
  name: z.string(),
  evidence: z.number().describe('The e-value of this metric.'),
  weight: z.number().describe('Its share of the evidence budget.'),
  named: z.boolean().describe('Named as a cause at the familywise level.'),
  canary: z.object({ requests: z.number(), events: z.number() }).nullable(),
  stable: z.object({ requests: z.number(), events: z.number() }).nullable(),
  says: z.string(),
});

const judgementSchema = z.object({
  verdict: z.enum(['rollback', 'advance', 'continue', 'hold', 'pod-fault', 'inconclusive']),
  speed: z.enum(['instant', 'statistical', 'sustained', 'no-data']).nullable(),
  reason: z.string(),
  evidence: z.object({ total: z.number(), threshold: z.number(), metrics: z.array(metricEvidence) }),
  promote: z.object({
    passed: z.boolean(),
    harmBoundShare: z.number().nullable(),
    needRequests: z.number().nullable(),
    needMs: z.number().nullable(),
  }),
  heldMs: z.number(),
  instance: z.string().nullable(),
});

const stepCounts = z.object({
  weightBp,
  canaryRequests: z.number().int(),
  canaryErrors: z.number().int(),
  stableRequests: z.number().int(),
  stableErrors: z.number().int(),
});

export const releaseSchema = z.object({
  id: z.string(),
  service: z.string(),
  version: z.string(),
  from: z.string().describe('The version a rollback returns to.'),
  phase,
  revision: z.number().int().describe('Send it as If-Match to act only on what you saw.'),
  step: z.number().int(),
  steps: z.array(z.object({ weightBp, holdMs: z.number() })),
  weightBp,
  heldMs: z.number().describe('Observed time at this step, ms.'),
  paused: z.object({ reason: z.string(), by: z.string() }).nullable(),
  held: z.object({ verdict: z.string(), reason: z.string() }).nullable(),
  verdict: z.enum(['PASS', 'FAIL', 'INCONCLUSIVE', 'ERROR']),
  judgement: judgementSchema.nullable(),
  counts: z.array(stepCounts),
  requestedAtMs: z.number(),
  requestedBy: z.string(),
  reason: z.string(),
  endedAtMs: z.number().nullable(),
  endReason: z.string().nullable(),
  rollbackCause: z
    .enum(['instant', 'statistical', 'sustained', 'no-data', 'deadline', 'operator', 'undeclared'])
    .nullable(),
  zeroConfirmed: z.boolean(),
  secondsToZero: z.number().nullable(),
  canaryRequests: z.number().int(),
  failedRequests: z.number().int(),
  unanswered: z
    .number()
    .int()
    .nullable()
    .describe('Requests of the canary of whose answer nothing has come yet; null where nobody can tell.'),
  drain: z
    .object({
      version: z.string(),
      open: z.number().int(),
      ended: z.number().int().describe('Ended by themselves.'),
      cut: z.number().int().describe('Cut when the time to finish (`traffic.drain`) was over.'),
      unseen: z.number().int().describe('Went with a gateway that was replaced, or went on.'),
      cutInMs: z.number().nullable(),
      seconds: z.number().nullable().describe('From the last traffic to the last end.'),
    })
    .nullable()
    .describe('Requests, streams and WebSockets on the version that gets no more traffic; null when there were none.'),
  effectiveWeightBp: weightBp.nullable().describe('What the data plane reports; null while it cannot be read.'),
});

const instanceSchema = z.object({
  id: z.string(),
  service: z.string(),
  version: z.string(),
  host: z.string().describe('As the spec names it.'),
  address: z
    .string()
    .optional()
    .describe('The address of a host name that requests go to: the last one found healthy.'),
  port: z.number().int(),
  zone: z.string().nullable(),
  phase: z.enum(['starting', 'ready', 'unhealthy', 'backing-off', 'stopped']),
  pid: z.number().int().nullable(),
  restarts: z.number().int(),
  startedAtMs: z.number().nullable(),
  problem: z.string().nullable(),
});

/** Who outside keeps the ledger's checkpoints, and how that stands. */
export const anchorSchema = z.object({
  name: z.string().describe('`witness <name>` or `timestamp`.'),
  size: z.number().int().nullable().describe('Records that it covers; null when none.'),
  atMs: z.number().nullable(),
  problem: z.string().nullable().describe('Why it fails; null while it works.'),
  sinceMs: z.number().nullable().describe('Since when it fails.'),
});

const holdSchema = z.object({
  sinceMs: z.number(),
  signs: z
    .array(z.object({ by: z.string(), at: z.number(), says: z.string() }))
    .describe('What shows that records of the ledger are lost.'),
  services: z.array(
    z.object({
      service: z.string(),
      stable: z.string(),
      canary: z.string().nullable(),
      weightBp: weightBp.describe('What is held: the lower of what was in force and what the ledger says.'),
      decidedBp: weightBp.describe('What the ledger says.'),
      ends: z.boolean().describe('Accepting the loss ends the release in flight.'),
    }),
  ),
});

const dirtySchema = z.object({
  run: z.string(),
  service: z.string(),
  fault: z.string().describe('What may still be in force, in words.'),
  why: z.string(),
});

/** How large a ledger is. */
export const growthShape = {
  bytes: z.number().int().describe('Of the log; attachments come on top.'),
  growth: z
    .object({ recordsPerDay: z.number().int(), bytesPerDay: z.number().int(), overMs: z.number() })
    .nullable()
    .describe('What a day would add at the rate of the last hour; null in the first minute.'),
};

export const fleetSchema = z.object({
  schemaVersion: z.literal(1),
  system: z.string(),
  nowMs: z.number(),
  services: z.array(
    z.object({
      name: z.string(),
      listenPort: z.number().int(),
      stable: z.string(),
      active: z.string().nullable(),
      canary: z.string().nullable(),
      weightBp,
      effectiveWeightBp: weightBp.nullable(),
      instances: z.array(instanceSchema),
    }),
  ),
  releases: z.array(releaseSchema),
  traffic: z.object({
    generation: z.number().int(),
    problem: z.string().nullable(),
    warnings: z.array(z.string()).describe('What the data plane cannot do as it should.'),
    hold: holdSchema.nullable().describe('Set while the world is ahead of the ledger: a person decides what counts.'),
  }),
  ledger: z.object({
    size: z.number().int(),
    tip: z.string(),
    late: z.number().int(),
    anchors: z.array(anchorSchema),
    ...growthShape,
  }),
  dirty: z.array(dirtySchema).describe('Rehearsals whose fault was not shown to be gone: they hold every promotion.'),
});

export const errorSchema = z.object({
  error: z.object({
    code: z.string(),
    sentence: z.string(),
    next: z.string(),
    exit: z.number().int(),
    position: z.object({ file: z.string(), line: z.number(), column: z.number() }).partial().optional(),
  }),
});

const reasonSchema = z.string().min(1).max(500).describe('Why; written to the ledger.');

export const requestSchema = z
  .object({
    service: z.string().min(1).max(63),
    version: z.string().min(1).max(63),
    reason: reasonSchema,
    supersede: z.boolean().default(false).describe("Replace another operator's release in flight."),
  })
  .strict();

export const actionSchema = z.object({ reason: reasonSchema }).strict();
export const acceptLossSchema = z
  .object({ reason: reasonSchema, acceptLoss: z.boolean().describe('The explicit word: records are lost.') })
  .strict();
export const promoteSchema = z
  .object({ reason: reasonSchema, full: z.boolean().default(false).describe('Straight to the watch at 100 %.') })
  .strict();

export const recordSchema = z.looseObject({
  seq: z.number().int(),
  time: z.string(),
  type: z.string(),
  stream: z.string(),
});

export type ReleaseDoc = z.infer<typeof releaseSchema>;
export type FleetDoc = z.infer<typeof fleetSchema>;
export type HoldDoc = z.infer<typeof holdSchema>;
export type AnchorDoc = z.infer<typeof anchorSchema>;
