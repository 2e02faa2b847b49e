import { type Arm, type Arms, eventsOf, requestsOf } from './arms.ts';

/**
 * The sustained rule: a limit broken for the declared time without a break. It is judged on parts of at most 30 s, so
 * that a quiet second is no break; a part without canary requests neither breaks a chain nor adds to it.
 */
export interface Sustained {
  partMs: number;
  /**
   * Per limit: requests of the running part on either arm that it is judged by (latency: settled instances only), events among them, and the
   * canary's requests and events by instance group in turn.
   */
  nc: number[];
  ns: number[];
  xc: number[];
  xs: number[];
  groups: number[][];
  /** Per limit: how long it has been broken, and what was counted meanwhile. */
  chains: Chain[];
}

export interface Chain {
  ms: number;
  nc: number;
  xc: number;
  ns: number;
  xs: number;
  /** The canary's requests and events by instance group in turn. */
  groups: number[];
}

/** A limit as this rule reads it: at most `share` of the requests are events. Null: not in force in this step. */
export interface SustainedLimit {
  share: number;
  /** -1: errors; else the index of the latency edge. */
  edge: number;
  /** The limit in ms; null for errors. */
  underMs: number | null;
}

const MAX_PART_MS = 30_000;
const PARTS = 10;

const newChain = (): Chain => ({ ms: 0, nc: 0, xc: 0, ns: 0, xs: 0, groups: [] });

export function newSustained(limits: number): Sustained {
  const zeros = (): number[] => new Array<number>(limits).fill(0);
  const counts = { nc: zeros(), ns: zeros(), xc: zeros(), xs: zeros(), groups: zeros().map(() => []) };
  return { partMs: 0, ...counts, chains: zeros().map(newChain) };
}

export function cloneSustained(s: Sustained): Sustained {
  return {
    ...s,
    nc: s.nc.slice(),
    ns: s.ns.slice(),
    xc: s.xc.slice(),
    xs: s.xs.slice(),
    groups: s.groups.map((row) => row.slice()),
    chains: s.chains.map((chain) => ({ ...chain, groups: chain.groups.slice() })),
  };
}

/** Length of a part: what is shorter than this cannot break a chain. */
export function partMsOf(sustainedMs: number): number {
  return Math.min(MAX_PART_MS, sustainedMs / PARTS);
}

export function stepSustained(
  s: Sustained,
  limits: readonly (SustainedLimit | null)[],
  sustainedMs: number,
  arms: Arms,
  dtMs: number,
): void {
  const { canary } = arms;
  // Requests that hang are known to be slow before any has ended.
  if (canary.n <= 0 && limits.every((limit) => limit === null || requestsOf(canary, limit.edge) <= 0)) return;
  s.partMs += dtMs;
  limits.forEach((limit, i) => {
    // A canary that warms up breaks no latency limit yet.
    if (limit === null || (limit.edge >= 0 && arms.warming)) return;
    const errors = limit.edge < 0;
    const own = errors ? canary : arms.warmCanary;
    const others = errors ? arms.stable : arms.warmStable;
    s.nc[i]! += requestsOf(own, limit.edge);
    s.ns[i]! += requestsOf(others, limit.edge);
    s.xc[i]! += eventsOf(own, limit.edge);
    s.xs[i]! += eventsOf(others, limit.edge);
    addGroups(s.groups[i]!, errors ? arms.groups : arms.warmGroups, limit.edge);
  });
  if (s.partMs < partMsOf(sustainedMs)) return;
  limits.forEach((limit, i) => {
    endPart(s, limit, i);
  });
  s.partMs = 0;
}

function addGroups(into: number[], groups: readonly Arm[], edge: number): void {
  groups.forEach((group, g) => {
    into[2 * g] = (into[2 * g] ?? 0) + requestsOf(group, edge);
    into[2 * g + 1] = (into[2 * g + 1] ?? 0) + eventsOf(group, edge);
  });
}

function endPart(s: Sustained, limit: SustainedLimit | null, i: number): void {
  const nc = s.nc[i]!;
  const chain = s.chains[i]!;
  if (limit === null || s.xc[i]! <= limit.share * nc) s.chains[i] = newChain();
  else {
    chain.ms += s.partMs;
    chain.nc += nc;
    chain.xc += s.xc[i]!;
    chain.ns += s.ns[i]!;
    chain.xs += s.xs[i]!;
    s.groups[i]!.forEach((count, at) => {
      chain.groups[at] = (chain.groups[at] ?? 0) + count;
    });
  }
  for (const counts of [s.nc, s.ns, s.xc, s.xs]) counts[i] = 0;
  s.groups[i] = [];
}

/** Takes a group's counts out of every chain: its instance is gone. */
export function dropFromChains(s: Sustained, group: number): void {
  for (const chain of s.chains) {
    const requests = chain.groups[2 * group];
    if (requests === undefined) continue;
    chain.nc -= requests;
    chain.xc -= chain.groups[2 * group + 1] ?? 0;
    chain.groups[2 * group] = 0;
    chain.groups[2 * group + 1] = 0;
    // What is left may keep to the limit: the rule begins anew.
    chain.ms = 0;
  }
}
