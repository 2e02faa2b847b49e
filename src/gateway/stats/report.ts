/** What one process counted, as plain data: it crosses process borders, is added up, and is rendered. */

import { own, setOwn } from '../../lib/own.ts';
import type { Cohort, CounterSnapshot, InstanceCounters, OutcomeCounts, OwnAnswers } from '../../metrics/source.ts';
import type { CallerKind } from './caller-stats.ts';
import { addClients, type ClientsData } from './client-stats.ts';
import { FLAG_RADIX } from './flags.ts';
import type { InFlightData } from './in-flight.ts';
import { noOwnAnswers } from './own-answers.ts';
import { noneUnserved, type UnservedData } from './unserved.ts';

export interface TallyData {
  edges: number[];
  /** `bins[i]`: durations in (edges[i-1], edges[i]]; the last one is beyond every edge. */
  bins: number[];
  durationMsSum: number;
  requests: number;
  timeouts: number;
  resets: number;
  aborted: number;
  /** Absent from an older gateway, which knew none. */
  unjudged?: number;
  /** By hundreds of the status. */
  classes: number[];
}

export interface InstanceReport {
  instance: string;
  version: string;
  cohort: Cohort;
  outcome: TallyData;
  /** Of `outcome`, the gRPC calls; absent without any, and from an older gateway. */
  calls?: TallyData;
  firstTry: TallyData;
  /** `[code * codeRadix + flag, count]`, the code as `answerCode` has it. */
  codes: [number, number][];
  /** Absent from an older gateway: 17. */
  codeRadix?: number;
  /** First tries sent to it. Absent in the report of an older gateway, which counts them when they end. */
  started?: number;
  /** What occupies it now; absent from an older gateway, and from a process that has ended. */
  inFlight?: InFlightData;
  /** Of `firstTry`, what got no answer in time; absent from an older gateway. */
  unserved?: UnservedData;
}

export interface CallerReport {
  caller: string;
  kind: CallerKind;
  outcome: TallyData;
  /** `[code, count]`, the code as `answerCode` has it. */
  codes: [number, number][];
  /** Wall clock (ms) of the last answer. */
  lastAtMs: number;
}

export interface ServiceReport {
  service: string;
  edgesMs: number[];
  own: OwnAnswers;
  /** Own answers: `["code flag", count]`, the code as `answerCode` has it. */
  ownCodes: [string, number][];
  /** Further counters and gauges of the service, by metric name without prefix. */
  extras: Record<string, number>;
  instances: InstanceReport[];
  callers: CallerReport[];
  /** Absent from an older gateway. */
  clients?: ClientsData;
  endpoints: { instance: string; inFlight: number; connections: number; ejected: number; healthy: number }[];
}

/** The counters of the MetricsSource port. */
export function countersOf(
  bootId: string,
  nowMs: number,
  monoMs: number,
  reports: readonly ServiceReport[],
): CounterSnapshot {
  const services = reports.map(({ service, edgesMs, own, instances, callers, clients }) => ({
    service,
    edgesMs,
    own,
    instances: instances.map((report) => instanceCounters(report, edgesMs)),
    callers: callers.map(({ caller, kind, outcome, lastAtMs }) => {
      return { caller, kind, outcome: countsOf(outcome, edgesMs), lastAtMs };
    }),
    ...(clients?.inForce ? { clients: { dealt: clients.dealt, diverted: clients.diverted } } : {}),
  }));
  return { bootId, atMs: nowMs, monoMs, services };
}

function instanceCounters(report: InstanceReport, edgesMs: readonly number[]): InstanceCounters {
  const { instance, version, cohort, outcome, firstTry, inFlight, unserved } = report;
  const counters = { outcome: countsOf(outcome, edgesMs), firstTry: countsOf(firstTry, edgesMs) };
  const waiting = inFlight && {
    requests: inFlight.requests,
    unanswered: inFlight.unanswered,
    overdue: inFlight.overdue,
    over: edgesMs.map((edge) => slowerThan({ edges: firstTry.edges, bins: inFlight.bins }, edge)),
  };
  const more = { ...(waiting ? { waiting } : {}), ...(unserved ? { unserved } : {}) };
  return { instance, version, cohort, ...counters, started: startedOf(report), ...more };
}

/** What an older gateway did not count at the start stands in its counts of ends. */
function startedOf({ started, firstTry }: InstanceReport): number {
  return started ?? firstTry.requests;
}

function countsOf(tally: TallyData, edgesMs: readonly number[]): OutcomeCounts {
  const { classes, requests, timeouts, resets, aborted, unjudged = 0, durationMsSum } = tally;
  return {
    requests,
    status2xx: (classes[2] ?? 0) + (classes[1] ?? 0),
    status3xx: classes[3] ?? 0,
    status4xx: classes[4] ?? 0,
    status5xx: classes[5] ?? 0,
    timeouts,
    resets,
    aborted,
    unjudged,
    over: edgesMs.map((edge) => slowerThan(tally, edge)),
    durationMsSum,
  };
}

/** Requests slower than an edge, which is one of the tally's. */
function slowerThan({ edges, bins }: Pick<TallyData, 'edges' | 'bins'>, edge: number): number {
  let slower = 0;
  for (let i = edges.indexOf(edge) + 1; i < bins.length; i++) slower += bins[i] ?? 0;
  return slower;
}

/** What remains of a process that has ended: its counts, not what it held. */
export function withoutGauges(reports: readonly ServiceReport[]): ServiceReport[] {
  return reports.map((report) => {
    const counts = Object.entries(report.extras).filter(([name]) => name.endsWith('_total'));
    const instances = report.instances.map(({ inFlight: _, ...counted }) => counted);
    const clients = report.clients && { ...report.clients, inForce: false };
    const kept = { ...report, instances, endpoints: [], extras: Object.fromEntries(counts) };
    return clients ? { ...kept, clients } : kept;
  });
}

/** Adds up what several processes counted. Gauges add up too: each process has its own connections. */
export function mergeReports(lists: readonly (readonly ServiceReport[])[]): ServiceReport[] {
  const merged = new Map<string, ServiceReport>();
  for (const report of lists.flat()) {
    const into = merged.get(report.service);
    if (into === undefined) merged.set(report.service, upToDate(structuredClone(report)));
    else addReport(into, upToDate(report));
  }
  return [...merged.values()];
}

/** The radix of a gateway that did not say which. */
const FIRST_RADIX = 17;

/** As this version of the gateway counts; a process that leaves may be an older one. */
function upToDate(report: ServiceReport): ServiceReport {
  const instances = report.instances.map((one): InstanceReport => {
    const radix = one.codeRadix ?? FIRST_RADIX;
    if (radix === FLAG_RADIX) return one;
    const codes = one.codes.map(([key, count]): [number, number] => {
      return [Math.floor(key / radix) * FLAG_RADIX + (key % radix), count];
    });
    return { ...one, codes, codeRadix: FLAG_RADIX };
  });
  return { ...report, instances, own: { ...noOwnAnswers(), ...report.own } };
}

function addReport(into: ServiceReport, from: ServiceReport): void {
  addTo(into.own as unknown as Record<string, number>, from.own as unknown as Record<string, number>);
  addTo(into.extras, from.extras);
  into.ownCodes = addPairs(into.ownCodes, from.ownCodes);
  if (from.clients !== undefined) {
    into.clients ??= { dealt: {}, diverted: 0, inForce: false };
    addClients(into.clients, from.clients);
  }
  for (const instance of from.instances) {
    const same = into.instances.find(
      (one) => one.instance === instance.instance && one.version === instance.version && one.cohort === instance.cohort,
    );
    if (same === undefined) {
      into.instances.push(structuredClone(instance));
      continue;
    }
    same.started = startedOf(same) + startedOf(instance);
    addInFlight(same, instance);
    if (instance.unserved !== undefined) {
      same.unserved ??= noneUnserved();
      addTo(same.unserved as unknown as Record<string, number>, instance.unserved as unknown as Record<string, number>);
    }
    addCalls(same, instance);
    addTally(same.outcome, instance.outcome);
    addTally(same.firstTry, instance.firstTry);
    same.codes = addPairs(same.codes, instance.codes);
  }
  for (const caller of from.callers) {
    const same = into.callers.find((one) => one.caller === caller.caller && one.kind === caller.kind);
    if (same === undefined) {
      into.callers.push(structuredClone(caller));
      continue;
    }
    addTally(same.outcome, caller.outcome);
    same.codes = addPairs(same.codes, caller.codes);
    same.lastAtMs = Math.max(same.lastAtMs, caller.lastAtMs);
  }
  for (const endpoint of from.endpoints) {
    const same = into.endpoints.find(({ instance }) => instance === endpoint.instance);
    if (same === undefined) into.endpoints.push({ ...endpoint });
    else {
      same.inFlight += endpoint.inFlight;
      same.connections += endpoint.connections;
      same.ejected = Math.max(same.ejected, endpoint.ejected);
      same.healthy = Math.min(same.healthy, endpoint.healthy);
    }
  }
}

function addTally(into: TallyData, from: TallyData): void {
  for (const key of ['durationMsSum', 'requests', 'timeouts', 'resets', 'aborted'] as const) into[key] += from[key];
  into.unjudged = (into.unjudged ?? 0) + (from.unjudged ?? 0);
  from.classes.forEach((count, i) => {
    into.classes[i] = (into.classes[i] ?? 0) + count;
  });
  addBins(into.edges, into.bins, from.edges, from.bins);
}

function addCalls(into: InstanceReport, from: InstanceReport): void {
  if (from.calls === undefined) return;
  if (into.calls === undefined) into.calls = structuredClone(from.calls);
  else addTally(into.calls, from.calls);
}

function addBins(
  edges: readonly number[],
  bins: number[],
  fromEdges: readonly number[],
  from: readonly number[],
): void {
  from.forEach((count, i) => {
    // Edges differ only while a new table reaches one process after the other.
    const upper = fromEdges[i] ?? Number.POSITIVE_INFINITY;
    const at = edges.findIndex((edge) => edge >= upper);
    const bin = at < 0 ? bins.length - 1 : at;
    bins[bin] = (bins[bin] ?? 0) + count;
  });
}

/** To be called while the tallies' edges are still those of the bins. */
function addInFlight(into: InstanceReport, from: InstanceReport): void {
  if (from.inFlight === undefined) return;
  into.inFlight ??= { requests: 0, unanswered: 0, overdue: 0, bins: into.firstTry.bins.map(() => 0) };
  into.inFlight.requests += from.inFlight.requests;
  into.inFlight.unanswered += from.inFlight.unanswered;
  into.inFlight.overdue += from.inFlight.overdue;
  addBins(into.firstTry.edges, into.inFlight.bins, from.firstTry.edges, from.inFlight.bins);
}

function addTo(into: Record<string, number>, from: Record<string, number>): void {
  for (const [key, count] of Object.entries(from)) setOwn(into, key, (own(into, key) ?? 0) + count);
}

function addPairs<K>(left: [K, number][], right: [K, number][]): [K, number][] {
  const sums = new Map(left);
  for (const [key, count] of right) sums.set(key, (sums.get(key) ?? 0) + count);
  return [...sums];
}
