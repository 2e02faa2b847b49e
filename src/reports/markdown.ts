import { blocks, code, type Markdown, md, table } from '../lib/outside-text/markdown.ts';
import { formatShare } from '../lib/units.ts';
import type { ChaosRunDoc } from '../server/routes/chaos.ts';
import type { BiDailyReport, Distribution } from './bi-daily.ts';
import type { Resources } from './resources.ts';

/** The report for people; every figure in it stands in the JSON as well. */
export function biDailyMarkdown(report: BiDailyReport): Markdown {
  const { system, atMs, branch, status, spec, ledger } = report;
  return blocks([
    md`# Bi-daily report: ${system}`,
    '',
    md`- **Date**: ${new Date(atMs).toISOString()}`,
    md`- **Branch**: ${branch ?? 'not given'}`,
    md`- **Spec**: ${spec.file}, SHA-256 ${code(spec.sha256)}`,
    md`- **Status**: ${status}`,
    '',
    section('Components', [
      table(
        ['component', 'version', 'status', 'access', 'replicas'],
        report.components.map((one) => [one.name, one.version, one.status, one.access, one.replicas]),
      ),
    ]),
    section('Canary status', releases(report)),
    section('Traffic split', split(report.distribution)),
    section('Performance', [performance(report)]),
    section('Chaos outcomes', chaos(report.chaos)),
    section('Resource configuration', resources(report.resources)),
    section('Evidence files', [
      table(
        ['file', 'description', 'SHA-256', 'record'],
        report.evidence.map((one) => [one.name, one.desc, code(one.sha256), one.seq]),
      ),
    ]),
    section('Hash chain', [
      md`${ledger.size} records, root ${code(ledger.root)}: ${ledger.ok ? 'verified' : 'NOT VERIFIED'}`,
    ]),
    section('Anomalies', list(report.anomalies, 'none')),
    section('Next steps', list(report.nextSteps, 'none')),
    section('Notes', [
      'Counts are those of the gateway since it started; latencies are the upper edge of the bucket that holds the quantile.',
      'The interval of the split is Wilson’s at 95 %; a sample of 200 requests cannot tell 10 % from 7 % or 13 %.',
    ]),
  ]);
}

function section(title: string, lines: readonly (Markdown | string)[]): Markdown {
  return blocks([md`## ${title}`, '', ...lines, '']);
}

function releases({ releases: all }: BiDailyReport): (Markdown | string)[] {
  if (all.length === 0) return ['No release in this period.'];
  return [
    table(
      ['release', 'version', 'phase', 'weight', 'canary requests', 'failed', 'why'],
      all.map((one) => [
        ...[one.id, one.version, one.phase, `${one.weightBp / 100} %`],
        ...[one.canaryRequests, one.failedRequests, one.endReason ?? ''],
      ]),
    ),
  ];
}

function split(one: Distribution): string[] {
  if (one.requests === 0) return ['No sample was taken.'];
  const counts = Object.entries(one.counts).map(([version, count]) => `${version}: ${count}`);
  const lines = [`Sample of ${one.requests} requests to ${one.service}: ${counts.join(', ')}`];
  if (one.weight === null) return [...lines, 'No release is in flight, so nothing is to be split.'];
  return [
    ...lines,
    '',
    `Decided ${formatShare(one.weight, 2)}, observed ${formatShare(one.observed, 2)}, 95 % interval ${formatShare(one.low, 2)} to ${formatShare(one.high, 2)}.`,
    `A correct split gives ${one.expectedLow} to ${one.expectedHigh} of ${one.requests}: ${one.verdict}.`,
  ];
}

function performance({ figures }: BiDailyReport): Markdown {
  const ms = (value: number | null): string => (value === null ? '–' : `≤ ${value} ms`);
  return table(
    ['service', 'requests', 'failed', 'success', 'p50', 'p95', 'p99', "gateway's own answers"],
    figures.map((one) => [
      one.service,
      String(one.requests),
      String(one.failed),
      one.requests === 0 ? '–' : formatShare(1 - one.failed / one.requests, 3),
      ...[ms(one.p50Ms), ms(one.p95Ms), ms(one.p99Ms)],
      String(one.own),
    ]),
  );
}

function chaos(runs: ChaosRunDoc[]): (Markdown | string)[] {
  if (runs.length === 0) return ['Nothing was rehearsed in this period.'];
  return [
    table(
      ['run', 'experiment', 'verdict', 'target', 'recovered', 'why'],
      runs.map((run) => [
        ...[run.id, run.experiment, run.conclusion?.verdict ?? run.phase, run.targets.join(', ')],
        run.conclusion?.steadyAfterMs == null ? '–' : `${Math.round(run.conclusion.steadyAfterMs)} ms`,
        run.conclusion?.reasons[0] ?? '',
      ]),
    ),
  ];
}

function resources({ replicas, limits, processes }: Resources): (Markdown | string)[] {
  const memory = (bytes: number | null): string =>
    bytes === null ? 'not measured' : `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  return [
    table(
      ['service', 'version', 'replicas declared', 'ready', 'zone', 'runs as'],
      replicas.map((one) => [
        ...[one.service, one.version, String(one.declared), String(one.running), one.zone ?? '–', one.runs],
      ]),
    ),
    '',
    table(
      ['service', 'port', 'time-out', 'rate limit', 'retries', 'ejection', 'caps'],
      limits.map((one) => [
        ...[one.service, String(one.listenPort), one.timeout, one.rate, one.retries, one.ejection, one.caps],
      ]),
    ),
    '',
    table(
      ['process', 'pid', 'ports', 'restarts', 'resident memory'],
      processes.map((one) => [
        ...[one.name, String(one.pid ?? '–'), one.ports.join(', ') || '–', String(one.restarts ?? '–')],
        memory(one.memoryBytes),
      ]),
    ),
  ];
}

function list(lines: readonly string[], empty: string): (Markdown | string)[] {
  return lines.length === 0 ? [empty] : lines.map((line) => md`- ${line}`);
}
