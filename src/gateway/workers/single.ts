import { renderExposition } from '../admin/exposition.ts';
import { Engine } from '../engine.ts';
import type { Plane } from '../plane.ts';
import { machineMonoMs, watchProcess } from '../stats/process-stats.ts';
import { countersOf, mergeReports } from '../stats/report.ts';
import { type Heritage, noPast } from '../succession/predecessor.ts';

/** The gateway in one process: the default. */
export function singlePlane(stickyKey: Buffer, heritage: Heritage | null): Plane {
  const engine = new Engine({ stickyKey, ...(heritage === null ? {} : { bootId: heritage.estate.bootId }) });
  const past = heritage?.past ?? noPast;
  const processReport = watchProcess();
  const reports = async () => {
    const before = await past.reports();
    return mergeReports([engine.reports(), before]);
  };
  return {
    bootId: engine.bootId,
    ready: async () => {},
    apply: async (table) => {
      await engine.apply(table);
      past.follow(table);
    },
    renew: async (ids) => engine.renew(ids),
    inject: async (rules) => engine.inject(rules),
    clearFaults: async (ids) => engine.clearFaults(ids),
    faultReports: async () => engine.faultReports(),
    state: async () => engine.state(),
    counters: async () => {
      const all = await reports();
      return countersOf(engine.bootId, Date.now(), machineMonoMs(), all);
    },
    exposition: async () => renderExposition(await reports(), [processReport()]),
    reports,
    estate: async () => ({
      estate: { bootId: engine.bootId, table: engine.table, engines: [engine.estate()] },
      sockets: [...engine.sockets()].map(([address, handle]) => ({ engine: 0, address, handle })),
    }),
    adopt: async ({ table, engines }, sockets) => {
      if (table === null) return;
      await engine.adopt(table, new Map(sockets.map(({ address, handle }) => [address, handle])), engines[0] ?? null);
    },
    follow: async (table) => engine.follow(table),
    closePorts: () => engine.closePorts(),
    drain: (withinMs) => engine.drain(withinMs),
  };
}
