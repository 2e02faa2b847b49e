import { renderExposition } from '../admin/exposition.ts';
import { Engine } from '../engine.ts';
import type { Plane } from '../plane.ts';
import { watchProcess } from '../stats/process-stats.ts';

/** The gateway in one process: the default. */
export function singlePlane(stickyKey: Buffer): Plane {
  const engine = new Engine({ stickyKey });
  const processReport = watchProcess();
  return {
    bootId: engine.bootId,
    apply: (table) => engine.apply(table),
    renew: async (ids) => engine.renew(ids),
    inject: async (rules) => engine.inject(rules),
    clearFaults: async (ids) => engine.clearFaults(ids),
    faultReports: async () => engine.faultReports(),
    state: async () => engine.state(),
    counters: async () => engine.counters(),
    exposition: async () => renderExposition(engine.reports(), [processReport()]),
    drain: () => engine.drain(),
  };
}
