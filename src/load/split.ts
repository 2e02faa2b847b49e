import { DavyError } from '../lib/error.ts';
import { loadErrors } from './errors.ts';
import { encodeHistogram, latencyFigures, mergeHistograms } from './figures.ts';
import type { LoadPlan } from './plan.ts';
import { invalidReasons, type LoadLive, type LoadResult } from './result.ts';
import { mergeCounts } from './tally.ts';

const processesMax = 16;

/**
 * The parts of a plan that several processes run at once. Independent Poisson streams add up to one of the summed rate;
 * uniform ones do not stay uniform, but their sum keeps the rate.
 */
export function splitPlan(plan: LoadPlan, processes: number): LoadPlan[] {
  if (!(Number.isInteger(processes) && processes >= 1 && processes <= processesMax)) {
    throw new DavyError(
      loadErrors['bad-plan'],
      `The number of processes must be from 1 to ${processesMax}, not ${processes}.`,
    );
  }
  return Array.from({ length: processes }, (_, i) => partOf(plan, i, processes));
}

function partOf(plan: LoadPlan, index: number, of: number): LoadPlan {
  const { model } = plan;
  const share = (total: number): number => Math.max(1, Math.floor(total / of) + (index < total % of ? 1 : 0));
  return {
    ...plan,
    seed: (plan.seed + index) % 2 ** 32,
    maxConnections: share(plan.maxConnections),
    maxOutstanding: share(plan.maxOutstanding),
    model:
      model.kind === 'closed'
        ? { ...model, connections: share(model.connections) }
        : {
            ...model,
            stages: model.stages.map((stage) => ({
              ...stage,
              fromPerSecond: stage.fromPerSecond / of,
              toPerSecond: stage.toPerSecond / of,
            })),
          },
  };
}

/** The figures of all parts as those of one run, from the raw histograms; a quantile of quantiles would be no quantile. */
export function mergeResults(parts: readonly LoadResult[]): LoadResult {
  const [first] = parts;
  if (!first || parts.length === 1) return first!;
  const sum = (of: (part: LoadResult) => number): number => parts.reduce((total, part) => total + of(part), 0);
  const histogramOf = (name: keyof LoadResult['histograms']) =>
    mergeHistograms(parts.map((part) => part.histograms[name]));
  const lag = histogramOf('lag');
  const [cpuShare, dropped] = [Math.max(...parts.map((part) => part.cpuShare)), sum((part) => part.dropped)];
  const offered = sum((part) => part.lag.count);
  const { model } = first;
  const reasons = invalidReasons({ model, cpuShare, dropped, offered, lagP99Ms: latencyFigures(lag).quantiles.p99.ms });
  return {
    ...first,
    validity: { verdict: reasons.length === 0 ? 'VALID' : 'INVALID', reasons },
    durationMs: Math.max(...parts.map((part) => part.durationMs)),
    offeredPerSecond: sum((part) => part.offeredPerSecond),
    sentPerSecond: sum((part) => part.sentPerSecond),
    achievedPerSecond: sum((part) => part.achievedPerSecond),
    ...{ dropped, cpuShare },
    counts: mergeCounts(parts.map((part) => part.counts)),
    response: latencyFigures(histogramOf('response')),
    service: latencyFigures(histogramOf('service')),
    lag: latencyFigures(lag),
    targets: first.targets.map((target, i) => mergeTargets(parts.map((part) => part.targets[i] ?? target))),
    histograms: mergedText(parts),
  };
}

function mergeTargets(parts: LoadResult['targets']): LoadResult['targets'][number] {
  const merged = mergeHistograms(parts.map((part) => part.histogram));
  return {
    name: parts[0]!.name,
    ...mergeCounts(parts),
    response: latencyFigures(merged),
    histogram: encodeHistogram(merged),
  };
}

function mergedText(parts: readonly LoadResult[]): LoadResult['histograms'] {
  const of = (name: keyof LoadResult['histograms']): string =>
    encodeHistogram(mergeHistograms(parts.map((part) => part.histograms[name])));
  return { response: of('response'), service: of('service'), lag: of('lag') };
}

/** What one of `processes` equal parts shows, as that of all. */
export function scaleLive(live: LoadLive, processes: number): LoadLive {
  const { offered, requests, errors, outstanding } = live;
  return {
    ...live,
    offered: offered * processes,
    requests: requests * processes,
    errors: errors * processes,
    outstanding: outstanding * processes,
  };
}
