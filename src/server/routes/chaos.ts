import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ExperimentRef } from '../../chaos/chaos.ts';
import { findRun, silences } from '../../chaos/decide.ts';
import { describeExperiment } from '../../chaos/describe.ts';
import { nextSlotMs } from '../../chaos/schedule.ts';
import type { ChaosRun, ChaosState } from '../../chaos/state.ts';
import { DavyError } from '../../lib/error.ts';
import { own } from '../../lib/own.ts';
import type { Spec } from '../../spec/model.ts';
import { normaliseExperiment } from '../../spec/normalise-chaos.ts';
import { experiment as experimentSchema } from '../../spec/schema/chaos.ts';
import { actorOf } from '../auth.ts';
import type { ServerContext } from '../context.ts';
import { apiErrors } from '../errors.ts';

const tags = ['chaos'];
const name = z.string().min(1).max(100);
const reason = z.string().min(1).max(1_000);
const seed = z
  .number()
  .int()
  .min(0)
  .max(2 ** 32 - 1);
const params = z.object({ id: name });

const refShape = {
  experiment: name.optional().describe('An experiment of the spec, by name.'),
  inline: experimentSchema.optional().describe('An experiment that is not in the spec, as it would stand there.'),
  seed: seed.optional().describe('Repeats the random choice of targets.'),
};

const check = z.object({
  probe: z.string(),
  what: z.string(),
  allowedBadShare: z.number(),
  minRequests: z.number(),
  requests: z.number(),
  bad: z.number(),
  holds: z.boolean().nullable(),
});

const moment = z.number().nullable();

const conclusion = z.object({
  verdict: z.enum(['PASS', 'FAIL', 'INCONCLUSIVE', 'INVALID', 'ERROR']),
  reasons: z.array(z.string()),
  before: z.array(check),
  during: z.array(check),
  after: z.array(check),
  injection: z.object({ matched: z.number(), injected: z.number(), meanAddedMs: z.number().nullable() }).nullable(),
  presence: z
    .object({
      plannedMs: z.number().describe('For how long the fault was to be in force.'),
      presentMs: z.number().describe('For how long it was shown to be.'),
      lost: z.string().nullable().describe('How it ended before its time by no act of the run.'),
      inScope: z
        .number()
        .nullable()
        .describe("First tries that the gateway's counters saw in its scope meanwhile; null: they cannot tell."),
      processes: z.array(
        z.object({ instance: z.string(), pid: z.number(), fate: z.enum(['ended', 'stopped', 'running']) }),
      ),
    })
    .nullable()
    .describe('What was shown of the fault between its injection and its planned end.'),
  control: z
    .object({
      what: z.string(),
      beforeP95Ms: z.number().nullable(),
      duringP95Ms: z.number().nullable(),
      changeShare: z.number().nullable(),
      errorsDuring: z.object({ requests: z.number(), bad: z.number() }),
    })
    .nullable(),
  recovery: z.array(
    z.object({
      instance: z.string(),
      killedAtMs: z.number(),
      detectedAtMs: moment,
      replacedAtMs: moment,
      readyAtMs: moment,
    }),
  ),
  steadyAfterMs: moment,
  detectedAfterMs: moment,
});

const runSchema = z.object({
  id: z.string(),
  experiment: z.string(),
  hypothesis: z.string(),
  service: z.string(),
  fault: z.string(),
  what: z.string().describe('The fault and its scope in words.'),
  phase: z.string(),
  by: z.string(),
  reason: z.string(),
  seed: z.number(),
  targets: z.array(z.string()),
  blast: z.object({ instancesShare: z.number(), requestsShare: z.number() }),
  plannedAtMs: z.number(),
  injectedAtMs: moment,
  revertedAtMs: moment,
  revertReason: z.string().nullable(),
  stopped: z.object({ by: z.string(), reason: z.string() }).nullable().describe('Who ended it before its time.'),
  dirty: z.string().nullable(),
  conclusion: conclusion.nullable(),
});

export type ChaosRunDoc = z.infer<typeof runSchema>;

const listSchema = z.object({
  blocked: z.string().nullable().describe('Why promotions wait; null when they do not.'),
  experiments: z.array(
    z.object({
      name: z.string(),
      hypothesis: z.string(),
      service: z.string(),
      fault: z.string(),
      what: z.string().describe('The fault and its scope in words.'),
      durationMs: z.number(),
      nextMs: moment,
      slot: z
        .object({ atMs: z.number(), missed: z.number(), refused: z.string().nullable() })
        .nullable()
        .describe('The newest slot of its schedule, and why it was not run.'),
      problem: z.string().nullable().describe('Why it could not run now.'),
      last: runSchema.nullable(),
    }),
  ),
  running: z.array(runSchema),
  silences: z
    .array(z.object({ run: z.string(), service: z.string(), untilMs: z.number() }))
    .describe('Alerts of these services need nobody until then: a fault is being rehearsed.'),
});

export type ChaosListDoc = z.infer<typeof listSchema>;

const checkSchema = z.object({
  allowed: z.boolean(),
  problem: z.object({ code: z.string(), sentence: z.string(), next: z.string() }).nullable(),
  targets: z.array(z.string()),
  untouched: z.array(z.string()),
  blast: z.object({ instancesShare: z.number(), requestsShare: z.number() }).nullable(),
});

export type ChaosCheckDoc = z.infer<typeof checkSchema>;

/** Rehearsing failure: what is declared, what would happen, running, stopping and clearing. */
export function chaosRoutes({ chaos, clock, spec }: ServerContext): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      '/api/v1/chaos',
      {
        schema: {
          summary: 'Experiments, their next and last runs, and what runs now',
          tags,
          response: { 200: listSchema },
        },
      },
      async () => {
        const runs = runDocs(Object.values(chaos.state().runs));
        const experiments = chaos.experiments().map((one) => ({
          name: one.name,
          hypothesis: one.hypothesis,
          service: one.scope.service,
          fault: one.fault.kind,
          what: describeExperiment(one),
          durationMs: one.durationMs,
          nextMs: one.schedule && nextSlotMs(one.schedule, clock.nowMs()),
          slot: slotDoc(chaos.state(), one.name),
          problem: chaos.check(one).problem?.message ?? null,
          last: runs.find((run) => run.experiment === one.name) ?? null,
        }));
        return {
          blocked: chaos.raiseBlocked(),
          experiments,
          running: runs.filter((run) => run.conclusion === null),
          silences: silences(chaos.state(), clock.nowMs()),
        };
      },
    );
    app.get(
      '/api/v1/chaos/runs',
      { schema: { summary: 'All runs, newest first', tags, response: { 200: z.array(runSchema) } } },
      async () => runDocs(Object.values(chaos.state().runs)),
    );
    app.get(
      '/api/v1/chaos/runs/:id',
      { schema: { summary: 'One run', tags, params, response: { 200: runSchema } } },
      async (request) => runDoc(findRun(chaos.state(), request.params.id)),
    );
    app.post(
      '/api/v1/chaos/check',
      {
        schema: {
          summary: 'What a run would do now; changes nothing',
          tags,
          body: z.object(refShape),
          response: { 200: checkSchema },
        },
      },
      async (request) => {
        const { plan, problem } = chaos.check(refOf(request.body, spec), request.body.seed);
        return {
          allowed: problem === null,
          problem: problem && { code: problem.code, sentence: problem.message, next: problem.next },
          targets: plan?.targets ?? [],
          untouched: plan?.untouched ?? [],
          blast: plan?.blast ?? null,
        };
      },
    );
    app.post(
      '/api/v1/chaos/runs',
      {
        schema: {
          summary: 'Run an experiment',
          tags,
          body: z.object({ ...refShape, reason }),
          response: { 201: runSchema },
        },
      },
      async (request, reply) => {
        const { reason: why, seed: wanted } = request.body;
        const options = wanted === undefined ? { reason: why } : { reason: why, seed: wanted };
        const run = await chaos.run(refOf(request.body, spec), options, actorOf(request));
        reply.code(201);
        return runDoc(run);
      },
    );
    app.post(
      '/api/v1/chaos/stop',
      {
        schema: {
          summary: 'Revert runs; answers when their faults are gone',
          tags,
          body: z.object({ runs: z.array(name).max(100).optional().describe('All that run unless given.'), reason }),
          response: { 200: z.object({ stopped: z.array(z.string()) }) },
        },
      },
      async (request) => ({
        stopped: await chaos.stopRuns(request.body.runs ?? 'all', request.body.reason, actorOf(request)),
      }),
    );
    app.post(
      '/api/v1/chaos/runs/:id/clear',
      {
        schema: {
          summary: 'Declare a DIRTY run clean',
          tags,
          params,
          body: z.object({ reason }),
          response: { 200: runSchema },
        },
      },
      async (request) => runDoc(await chaos.clear(request.params.id, request.body.reason, actorOf(request))),
    );
  };
}

type Inline = z.infer<typeof experimentSchema>;

function refOf(body: { experiment?: string | undefined; inline?: Inline | undefined }, spec: Spec): ExperimentRef {
  if (body.inline !== undefined && body.experiment === undefined) {
    refuseForeignProbes(body.inline, spec);
    return normaliseExperiment('inline', body.inline);
  }
  if (body.experiment !== undefined && body.inline === undefined) return body.experiment;
  throw new DavyError(apiErrors['invalid-request'], 'Give either experiment or inline.');
}

/** A call must not make Davy ask addresses that the spec does not know: only this machine and declared endpoints. */
function refuseForeignProbes({ probes }: Inline, spec: Spec): void {
  const declared = Object.values(spec.services).flatMap((service) =>
    Object.values(service.versions).flatMap((version) =>
      version.endpoints.map((endpoint) => new URL(endpoint).hostname),
    ),
  );
  const known = new Set(['127.0.0.1', 'localhost', '[::1]', ...declared]);
  for (const { http, name: probe } of probes) {
    if (http === undefined || known.has(URL.parse(http)?.hostname ?? '')) continue;
    throw new DavyError(
      apiErrors['invalid-request'],
      `The probe ${probe} may only ask this machine or an endpoint of the spec, not ${http.slice(0, 100)}.`,
    );
  }
}

function slotDoc({ slots }: ChaosState, experiment: string): ChaosListDoc['experiments'][number]['slot'] {
  const slot = own(slots, experiment);
  if (!slot) return null;
  const refused = slot.outcome.kind === 'refused' ? slot.outcome.why : null;
  return { atMs: slot.slotMs, missed: slot.missed, refused };
}

function runDocs(runs: ChaosRun[]): ChaosRunDoc[] {
  return runs.toReversed().map(runDoc);
}

function runDoc(run: ChaosRun): ChaosRunDoc {
  const { experiment, seed: seedUsed, targets, blast } = run.plan;
  return {
    ...{
      id: run.id,
      experiment: experiment.name,
      hypothesis: experiment.hypothesis,
      service: experiment.scope.service,
    },
    ...{
      fault: experiment.fault.kind,
      what: describeExperiment(experiment),
      phase: run.phase,
      by: run.by,
      reason: run.reason,
      seed: seedUsed,
      targets,
      blast,
    },
    ...{ plannedAtMs: run.plannedAtMs, injectedAtMs: run.injectedAtMs, revertedAtMs: run.revertedAtMs },
    ...{ revertReason: run.revertReason, stopped: run.stopped, dirty: run.dirty, conclusion: run.conclusion },
  };
}
