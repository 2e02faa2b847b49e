import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { z } from 'zod';
import type { ServerContext } from '../context.ts';

const tags = ['operations'];

/** Liveness, readiness and one scrape address for the controller and the data plane. */
export function operationRoutes(context: ServerContext): FastifyPluginAsyncZod {
  const registry = controllerMetrics(context);
  return async (app) => {
    app.get(
      '/healthz',
      { schema: { summary: 'The process answers', tags, response: { 200: z.object({ ok: z.boolean() }) } } },
      async () => ({
        ok: true,
      }),
    );
    app.get(
      '/readyz',
      {
        schema: {
          summary: 'Traffic is in step with the decisions',
          tags,
          response: {
            200: z.object({ ready: z.boolean(), problem: z.string().nullable() }),
            503: z.object({ ready: z.boolean(), problem: z.string().nullable() }),
          },
        },
      },
      async (_request, reply) => {
        const problem = context.controller.trafficProblem();
        reply.code(problem === null ? 200 : 503);
        return { ready: problem === null, problem };
      },
    );
    app.get(
      '/metrics',
      { schema: { summary: 'Prometheus text of controller and data plane', tags } },
      async (_request, reply) => {
        const own = await registry.metrics();
        const gateway = await context.gatewayMetrics().catch(() => '');
        reply.type(registry.contentType);
        return own + gateway;
      },
    );
  };
}

function controllerMetrics({ controller, ledger, spec }: ServerContext): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'davy_controller_' });
  new Gauge({
    name: 'davy_ledger_records',
    help: 'Records in the ledger.',
    registers: [registry],
    collect() {
      this.set(ledger.head().size);
    },
  });
  new Gauge({
    name: 'davy_traffic_in_step',
    help: '1 when the data plane was read back as doing what was decided.',
    registers: [registry],
    collect() {
      this.set(controller.trafficProblem() === null ? 1 : 0);
    },
  });
  new Gauge({
    name: 'davy_release_weight_ratio',
    help: 'Decided share of the canary, 0 to 1; 0 without a release in flight.',
    labelNames: ['service'],
    registers: [registry],
    collect() {
      const fleet = controller.fleet();
      for (const service of Object.keys(spec.services)) {
        const active = fleet.services[service]?.active;
        this.set({ service }, (active ? (fleet.releases[active]?.weightBp ?? 0) : 0) / 10_000);
      }
    },
  });
  return registry;
}
