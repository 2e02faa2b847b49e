import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { z } from 'zod';
import { own } from '../../lib/own.ts';
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
        const problem = context.replayed() ? context.controller.trafficProblem() : 'the ledger is still being read';
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

function controllerMetrics(context: ServerContext): Registry {
  const { controller, ledger, spec } = context;
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
  sizeMetrics(context, registry);
  anchorMetrics(context, registry);
  new Gauge({
    name: 'davy_traffic_in_step',
    help: '1 when the data plane was read back as doing what was decided.',
    registers: [registry],
    collect() {
      this.set(controller.trafficProblem() === null ? 1 : 0);
    },
  });
  new Gauge({
    name: 'davy_chaos_dirty_runs',
    help: 'Rehearsals whose fault was not shown to be gone; they hold every promotion until a person clears them.',
    registers: [registry],
    collect() {
      this.set(context.chaos.dirty().length);
    },
  });
  new Gauge({
    name: 'davy_traffic_held',
    help: '1 while nothing is raised because records of the ledger are lost; a person must decide.',
    registers: [registry],
    collect() {
      this.set(controller.fleet().traffic.hold === null ? 0 : 1);
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
        const active = own(fleet.services, service)?.active;
        this.set({ service }, (active ? (own(fleet.releases, active)?.weightBp ?? 0) : 0) / 10_000);
      }
    },
  });
  return registry;
}

function sizeMetrics({ growth }: ServerContext, registry: Registry): void {
  new Gauge({
    name: 'davy_ledger_log_bytes',
    help: 'Size of the log of the ledger; attachments come on top.',
    registers: [registry],
    collect() {
      this.set(growth.size().bytes);
    },
  });
  new Gauge({
    name: 'davy_ledger_growth_bytes_per_day',
    help: 'What a day would add to the log at the rate of the last hour; absent in the first minute.',
    labelNames: ['over'],
    registers: [registry],
    collect() {
      const measured = growth.growth();
      if (measured) this.set({ over: '1h' }, measured.bytesPerDay);
    },
  });
}

/** What an alert rule asks of those who keep the checkpoints: do they answer, since when not, how much is not covered yet. */
function anchorMetrics({ ledger, anchors, clock }: ServerContext, registry: Registry): void {
  const about = { labelNames: ['anchor'], registers: [registry] };
  new Gauge({
    ...about,
    name: 'davy_ledger_anchor_up',
    help: '1 when the witness or time-stamping authority answered the last time that it was asked.',
    collect() {
      for (const { name, problem } of anchors()) this.set({ anchor: name }, problem === null ? 1 : 0);
    },
  });
  new Gauge({
    ...about,
    name: 'davy_ledger_anchor_age_seconds',
    help: 'Age of the newest receipt of a witness or time-stamping authority; absent when there is none.',
    collect() {
      for (const { name, atMs } of anchors())
        if (atMs !== null) this.set({ anchor: name }, Math.max(0, clock.nowMs() - atMs) / 1_000);
    },
  });
  new Gauge({
    ...about,
    name: 'davy_ledger_unanchored_records',
    help: 'Newest records that no receipt of this witness or authority covers: those the owner of the key could still rewrite.',
    collect() {
      for (const { name, size } of anchors()) this.set({ anchor: name }, ledger.head().size - (size ?? 0));
    },
  });
}
