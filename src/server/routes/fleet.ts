import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { describeExperiment } from '../../chaos/describe.ts';
import { own } from '../../lib/own.ts';
import { releaseViews } from '../../release/view.ts';
import type { ServerContext } from '../context.ts';
import { type FleetDoc, fleetSchema } from '../schemas.ts';

/** The newest releases that one answer lists. */
const MAX_RELEASES = 200;

/** Everything on one page: services, instances, releases, traffic, ledger head. */
export function fleetRoutes(context: ServerContext): FastifyPluginAsyncZod {
  return async (app) => {
    app.get(
      '/api/v1/fleet',
      { schema: { summary: 'The live state of the system', tags: ['fleet'], response: { 200: fleetSchema } } },
      async () => fleetDoc(context),
    );
  };
}

function fleetDoc({ spec, controller, workloads, ledger, anchors, clock, growth, chaos }: ServerContext): FleetDoc {
  const fleet = controller.fleet();
  const observed = controller.observed();
  const instances = workloads.list();
  const head = ledger.head();
  return {
    schemaVersion: 1,
    system: spec.system,
    nowMs: clock.nowMs(),
    services: Object.values(spec.services).map((service) => {
      const state = own(fleet.services, service.name);
      const active = state?.active ? (own(fleet.releases, state.active) ?? null) : null;
      const held = fleet.traffic.hold?.services.find((line) => line.service === service.name);
      const route = observed?.services.find((line) => line.service === service.name);
      return {
        name: service.name,
        listenPort: service.listenPort,
        stable: held?.stable ?? state?.stable ?? service.stable,
        active: active?.id ?? null,
        canary: active?.version ?? null,
        weightBp: active?.weightBp ?? 0,
        effectiveWeightBp: route?.effectiveWeightBp ?? null,
        instances: instances.filter((status) => status.service === service.name),
      };
    }),
    releases: releaseViews(fleet, observed).slice(0, MAX_RELEASES),
    traffic: {
      generation: fleet.traffic.generation,
      problem: controller.trafficProblem(),
      warnings: observed?.warnings ?? [],
      hold: fleet.traffic.hold,
    },
    ledger: {
      ...{ size: head.size, tip: head.tip, late: controller.lateCount(), anchors: anchors() },
      ...{ bytes: growth.size().bytes, growth: growth.growth() },
    },
    dirty: chaos.dirty().map(({ id, plan, dirty }) => ({
      ...{ run: id, service: plan.experiment.scope.service, fault: describeExperiment(plan.experiment) },
      why: dirty ?? '',
    })),
  };
}
