import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { request } from 'undici';
import { findEndpoint } from '../lib/endpoint.ts';
import { DavyError } from '../lib/error.ts';
import { paragraphs, term } from '../lib/outside-text/terminal.ts';
import { type BiDailyReport, buildBiDaily, type EvidenceLine, judgeDistribution } from '../reports/bi-daily.ts';
import { type CollectedFile, canaryRate, sampleVersions, targetsFile } from '../reports/collect.ts';
import { parseExposition, serviceFigures } from '../reports/exposition.ts';
import { biDailyMarkdown } from '../reports/markdown.ts';
import { resourcesOf } from '../reports/resources.ts';
import type { ChaosRunDoc } from '../server/routes/chaos.ts';
import type { SystemDoc } from '../server/routes/system.ts';
import type { FleetDoc } from '../server/schemas.ts';
import { loadSpec } from '../spec/load.ts';
import { VERSION } from '../version.ts';
import { type ApiClient, connect, connectionOptions } from './api-client.ts';
import { archive } from './archive.ts';
import { durationOption } from './duration-option.ts';
import { cliErrors } from './errors.ts';
import { readGivenFile } from './given-file.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { serviceOf } from './service-choice.ts';

interface ReportOptions {
  port: number;
  url?: string;
  service?: string;
  sample: string;
  period: number;
  branch?: string;
  dashboard?: string;
  out?: string;
  output: string;
}

/** `report bi-daily FILE`: performance, split, chaos and evidence of the period, in Markdown and JSON, kept in the ledger. */
export function register(program: Command, io: CliIo): void {
  const report = program.command('report').description('reports from the running system, kept in the ledger');
  const biDaily = report
    .command('bi-daily')
    .argument('<file>', 'the spec of the running system')
    .option('--service <name>', 'the service whose split is sampled (default: the first with several versions)')
    .option('--sample <n>', 'requests of the sample', '200')
    .addOption(durationOption('--period <duration>', 'how far back', 48 * 3_600_000))
    .option('--branch <name>', 'the branch that is reported on')
    .option('--dashboard <file>', 'a dashboard to keep as evidence')
    .option('--out <dir>', 'also write the report there');
  outputOption(connectionOptions(biDaily)).action((file: string, options: ReportOptions) => run(file, options, io));
}

async function run(file: string, options: ReportOptions, io: CliIo): Promise<void> {
  const { spec } = await loadSpec(resolve(io.cwd, file));
  const several = Object.values(spec.services).find((one) => Object.keys(one.versions).length > 1);
  const service = serviceOf(spec, options.service ?? several?.name);
  const api = connect(options, io);
  const fleet = await api.get<FleetDoc>('/api/v1/fleet');
  const requests = Number(options.sample);
  if (!(Number.isInteger(requests) && requests >= 1 && requests <= 100_000))
    throw new DavyError(cliErrors.usage, '--sample takes 1 to 100000.');
  io.say(term`sampling ${requests} requests to ${service.name} …\n`);
  const { lines, ...distribution } = await sampleVersions(fleet, service.name, requests);
  const files = [
    targetsFile(fleet, `${api.url}/metrics`),
    ...(distribution.canary === null
      ? []
      : [await canaryRate(() => scrape(api), service.name, distribution.canary, io.clock)]),
    distributionFile(lines, distribution),
    ...(options.dashboard === undefined ? [] : [await dashboardFile(options.dashboard, io)]),
  ];
  const evidence = await storeAll(files, options, io);
  const samples = parseExposition(await scrape(api));
  const report = buildBiDaily({
    ...{
      atMs: io.clock.nowMs(),
      periodMs: options.period,
      spec: { file: basename(spec.source.file), sha256: spec.source.sha256 },
      branch: options.branch ?? null,
      version: VERSION,
    },
    ...{ fleet, distribution, evidence },
    figures: Object.keys(spec.services).map((name) => serviceFigures(samples, name)),
    chaos: await api.get<ChaosRunDoc[]>('/api/v1/chaos/runs'),
    ledger: await api.get('/api/v1/evidence/verify'),
    resources: resourcesOf(spec, fleet, await api.get<SystemDoc>('/api/v1/system'), samples),
  });
  await publish(report, options, io);
}

async function publish(report: BiDailyReport, options: ReportOptions, io: CliIo): Promise<void> {
  const markdown = String(biDailyMarkdown(report));
  const files: CollectedFile[] = [
    { name: 'bi-daily-report.md', type: 'text/markdown', desc: 'Bi-daily report', content: markdown },
    {
      name: 'bi-daily-report.json',
      type: 'application/json',
      desc: 'Bi-daily report, figures',
      content: `${JSON.stringify(report, null, 2)}\n`,
    },
  ];
  const stored = await storeAll(files, options, io, 'report');
  if (options.out !== undefined) {
    const folder = resolve(io.cwd, options.out);
    await mkdir(folder, { recursive: true });
    for (const one of files) await writeFile(join(folder, one.name), one.content);
  }
  for (const one of stored) io.say(term`kept: ${one.name}, record ${one.seq}, sha256 ${one.sha256}\n`);
  if (options.output === 'json') return printJson(io, { report, stored });
  io.out(term`${paragraphs(markdown)}\n`);
}

async function storeAll(
  files: CollectedFile[],
  options: ReportOptions,
  io: CliIo,
  kind = 'evidence',
): Promise<EvidenceLine[]> {
  const stored: EvidenceLine[] = [];
  const data = findEndpoint(options.port, io.env)?.dataDir;
  for (const file of files) {
    const { seq, sha256 } = await archive(
      io,
      { ...options, ...(data === undefined ? {} : { data }) },
      { ...file, kind },
    );
    stored.push({ name: file.name, desc: file.desc, sha256, seq });
  }
  return stored;
}

async function scrape(api: ApiClient): Promise<string> {
  const answer = await request(`${api.url}/metrics`, { headers: { authorization: `Bearer ${api.token}` } });
  return answer.body.text();
}

function distributionFile(lines: string[], sample: Parameters<typeof judgeDistribution>[0]): CollectedFile {
  const { observed, low, high, expectedLow, expectedHigh, requests, canaryRequests, verdict } =
    judgeDistribution(sample);
  const summary = [
    `versions: ${JSON.stringify(sample.counts)}`,
    `canary ${sample.canary ?? 'none'}: ${canaryRequests} of ${requests} (${observed.toFixed(4)}, 95 % interval ${low.toFixed(4)} to ${high.toFixed(4)})`,
    `expected at ${sample.weight ?? 'no weight'}: ${expectedLow ?? '-'} to ${expectedHigh ?? '-'}; ${verdict}`,
  ];
  return {
    name: 'canary-distribution.log',
    type: 'text/plain',
    desc: 'Canary distribution sample',
    content: `${[...lines, ...summary].join('\n')}\n`,
  };
}

async function dashboardFile(path: string, io: CliIo): Promise<CollectedFile> {
  const content = await readGivenFile(path, io);
  return { name: basename(path), type: 'application/json', desc: 'Grafana dashboard config', content };
}
