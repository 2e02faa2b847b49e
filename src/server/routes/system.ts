import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';
import { anchorSchema, growthShape } from '../schemas.ts';

const systemSchema = z.object({
  system: z.string(),
  version: z.string(),
  node: z.string(),
  platform: z.string(),
  nowMs: z.number(),
  startedAtMs: z.number(),
  controller: z.object({ pid: z.number(), rssBytes: z.number(), heapBytes: z.number() }),
  traffic: z.object({
    bootId: z.string().nullable(),
    generation: z.number().nullable(),
    intendedGeneration: z.number(),
    term: z.number().nullable(),
    problem: z.string().nullable(),
  }),
  ledger: z.object({
    size: z.number(),
    tip: z.string(),
    term: z.number(),
    late: z.number(),
    vkey: z.string(),
    anchors: z.array(anchorSchema),
    ...growthShape,
  }),
  spec: z.object({ sha256: z.string(), services: z.number(), policies: z.array(z.string()) }),
});

export type SystemDoc = z.infer<typeof systemSchema>;

/** What runs here, in which versions, and how far behind. */
export function systemRoutes(context: ServerContext, version: string): FastifyPluginAsyncZod {
  const { spec, controller, ledger, clock, ledgerKey, anchors, growth } = context;
  const grown = () => ({ bytes: growth.size().bytes, growth: growth.growth() });
  const startedAtMs = clock.nowMs();
  return async (app) => {
    app.get(
      '/api/v1/system',
      { schema: { summary: 'Processes, versions and lag', tags: ['operations'], response: { 200: systemSchema } } },
      async () => {
        const observed = controller.observed();
        const memory = process.memoryUsage();
        return {
          system: spec.system,
          version,
          node: process.version,
          platform: `${process.platform} ${process.arch}`,
          nowMs: clock.nowMs(),
          startedAtMs,
          controller: { pid: process.pid, rssBytes: memory.rss, heapBytes: memory.heapUsed },
          traffic: {
            bootId: observed?.bootId ?? null,
            generation: observed?.generation ?? null,
            intendedGeneration: controller.fleet().traffic.generation,
            term: observed?.term ?? null,
            problem: controller.trafficProblem(),
          },
          ledger: { ...ledger.head(), late: controller.lateCount(), vkey: ledgerKey(), anchors: anchors(), ...grown() },
          spec: {
            sha256: spec.source.sha256,
            services: Object.keys(spec.services).length,
            policies: Object.keys(spec.policies),
          },
        };
      },
    );
  };
}
