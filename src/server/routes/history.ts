import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { quantileMs } from '../../metrics/quantile.ts';
import { findRelease } from '../../release/decide.ts';
import type { LatencyCounts } from '../../release/look-points.ts';
import { releaseViews } from '../../release/view.ts';
import type { ServerContext } from '../context.ts';
import { createPastReader } from '../observations.ts';
import { releaseSchema } from '../schemas.ts';

const tags = ['history'];
const arm = z.object({ requests: z.number(), errors: z.number() });
const quantiles = z.object({
  requests: z.number(),
  p50Ms: z.number().nullable(),
  p75Ms: z.number().nullable(),
  p95Ms: z.number().nullable(),
  p99Ms: z.number().nullable(),
  over: z.array(z.number()).describe('Requests slower than each edge.'),
});

const observationsSchema = z.object({
  release: z.string(),
  points: z.array(
    z.object({
      seq: z.number().int().describe('The ledger record that holds the look.'),
      atMs: z.number(),
      dtMs: z.number(),
      looks: z.number().int().describe('More than 1 where neighbours were joined.'),
      step: z.number().int(),
      weightBp: z.number(),
      canary: arm,
      stable: arm,
      problem: z.string().nullable(),
      verdict: z.string(),
      evidence: z.number(),
      threshold: z.number(),
      metrics: z.array(z.object({ name: z.string(), evidence: z.number() })),
    }),
  ),
  limits: z.array(
    z.object({
      errorShare: z.number().nullable(),
      latency: z.array(z.object({ quantile: z.number(), underMs: z.number() })),
    }),
  ),
  latency: z.object({ edgesMs: z.array(z.number()), canary: quantiles, stable: quantiles }),
});

export type ObservationsDoc = z.infer<typeof observationsSchema>;

const pastSchema = z.object({
  beforeSeq: z.number().int(),
  services: z.array(z.object({ name: z.string(), stable: z.string(), active: z.string().nullable() })),
  releases: z.array(releaseSchema),
});

export type PastDoc = z.infer<typeof pastSchema>;

/** The past, folded from the ledger: what charts draw, and the fleet as it was. */
export function historyRoutes({ controller, ledger, judge, folds }: ServerContext): FastifyPluginAsyncZod {
  const past = createPastReader(ledger, judge, folds);
  return async (app) => {
    app.get(
      '/api/v1/releases/:id/observations',
      {
        schema: {
          summary: 'Every look of a release with the evidence after it, judged anew; at most 600 points',
          tags,
          params: z.object({ id: z.string().min(1).max(100) }),
          response: { 200: observationsSchema },
        },
      },
      async (request) => {
        const { id, policy } = findRelease(controller.fleet(), request.params.id);
        const { points, latency } = await past.release(id);
        return {
          release: id,
          points,
          limits: policy.steps.map((step) => step.limits),
          latency: {
            edgesMs: latency.edgesMs,
            canary: withQuantiles(latency.edgesMs, latency.canary),
            stable: withQuantiles(latency.edgesMs, latency.stable),
          },
        };
      },
    );
    app.get(
      '/api/v1/past',
      {
        schema: {
          summary: 'Services and releases as they were before a record',
          tags,
          querystring: z.object({ beforeSeq: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER) }),
          response: { 200: pastSchema },
        },
      },
      async ({ query }) => {
        const beforeSeq = Math.min(query.beforeSeq, ledger.head().size);
        const fleet = await past.fleetBefore(beforeSeq);
        const services = Object.entries(fleet.services);
        return {
          beforeSeq,
          services: services.map(([name, { stable, active }]) => ({ name, stable, active })),
          releases: releaseViews(fleet, null).slice(0, 200),
        };
      },
    );
  };
}

function withQuantiles(edgesMs: number[], { requests, over }: LatencyCounts['canary']): z.infer<typeof quantiles> {
  const at = (quantile: number): number | null => quantileMs(edgesMs, over, requests, quantile);
  return { requests, over, p50Ms: at(0.5), p75Ms: at(0.75), p95Ms: at(0.95), p99Ms: at(0.99) };
}
