import type { Command } from 'commander';
import { parse } from 'yaml';
import { describePresence } from '../chaos/describe.ts';
import { sleep } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { joined, type Shown, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { formatDurationMs, formatShare } from '../lib/units.ts';
import type { ChaosCheckDoc, ChaosListDoc, ChaosRunDoc } from '../server/routes/chaos.ts';
import { type ApiClient, connect, connectionOptions } from './api-client.ts';
import { cliErrors } from './errors.ts';
import { readGivenFile } from './given-file.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { reasonOption } from './reason-option.ts';

interface Common {
  port: number;
  url?: string;
  output: string;
}

interface RunOptions extends Common {
  reason: string;
  inline?: string;
  seed?: number;
  detach?: boolean;
}

const pollMs = 500;
/** A verdict that is not PASS. */
const exitFailed = 3;

/** `chaos check|run|list|stop|history|clear`. */
export function register(program: Command, io: CliIo): void {
  const chaos = program.command('chaos').description('rehearse failure: inject a fault, measure, revert');
  registerRun(chaos, io);
  registerCheck(chaos, io);
  registerLists(chaos, io);
  registerStop(chaos, io);
}

function registerRun(chaos: Command, io: CliIo): void {
  const run = experimentOptions(chaos.command('run').description('run an experiment; exit 0 PASS, 3 any other verdict'))
    .addOption(reasonOption())
    .option('--detach', 'do not wait for the conclusion');
  outputOption(connectionOptions(run)).action(async (name: string | undefined, options: RunOptions) => {
    const api = connect(options, io);
    const body = { ...(await refBody(name, options, io)), reason: options.reason };
    const started = await api.post<ChaosRunDoc>('/api/v1/chaos/runs', body);
    const share = formatShare(started.blast.requestsShare, 1);
    io.say(
      term`${started.id}: ${started.what}; hits ${started.targets.join(', ')}, ${share} of the requests, seed ${started.seed}\n`,
    );
    const last = options.detach ? started : await waitForEnd(api, started, io);
    if (options.output === 'json') printJson(io, { run: last });
    else io.out(renderRun(last));
    if (!options.detach && last.conclusion?.verdict !== 'PASS') io.exitCode = exitFailed;
  });
}

function registerCheck(chaos: Command, io: CliIo): void {
  const check = experimentOptions(
    chaos.command('check').description('what a run would hit now, and why it may not run'),
  );
  outputOption(connectionOptions(check)).action(async (name: string | undefined, options: RunOptions) => {
    const answer = await connect(options, io).post<ChaosCheckDoc>(
      '/api/v1/chaos/check',
      await refBody(name, options, io),
    );
    if (options.output === 'json') printJson(io, { check: answer });
    else {
      io.out(renderCheck(answer));
    }
    if (!answer.allowed) io.exitCode = exitFailed;
  });
}

function registerLists(chaos: Command, io: CliIo): void {
  const list = chaos.command('list').description('declared experiments, their next and last runs');
  outputOption(connectionOptions(list)).action(async (options: Common) => {
    const answer = await connect(options, io).get<ChaosListDoc>('/api/v1/chaos');
    if (options.output === 'json') return printJson(io, { chaos: answer });
    if (answer.experiments.length === 0) io.say(term`the spec declares no experiments; see docs/chaos.md\n`);
    if (answer.blocked) io.out(term`promotions wait: ${answer.blocked}\n`);
    for (const one of answer.experiments) {
      const next = one.nextMs === null ? 'by hand' : `next ${new Date(one.nextMs).toISOString()}`;
      const last = one.last ? `last ${one.last.id} ${one.last.conclusion?.verdict ?? one.last.phase}` : 'never run';
      io.out(term`${one.name}: ${one.what}, for ${formatDurationMs(one.durationMs)}; ${next}; ${last}\n`);
      if (one.problem) io.out(term`  could not run now: ${one.problem}\n`);
    }
  });
  const history = chaos.command('history').description('all runs, newest first');
  outputOption(connectionOptions(history)).action(async (options: Common) => {
    const runs = await connect(options, io).get<ChaosRunDoc[]>('/api/v1/chaos/runs');
    if (options.output === 'json') printJson(io, { runs });
    else if (runs.length === 0) io.say(term`no run yet; \`davy chaos run EXPERIMENT --reason …\` starts one\n`);
    else for (const run of runs) io.out(renderRun(run));
  });
}

function registerStop(chaos: Command, io: CliIo): void {
  const stop = chaos
    .command('stop')
    .description('revert runs and wait until their faults are gone')
    .argument('[runs...]', 'for example chaos-3')
    .option('--all', 'everything that runs')
    .addOption(reasonOption());
  outputOption(connectionOptions(stop)).action(
    async (runs: string[], options: Common & { all?: boolean; reason: string }) => {
      if (runs.length > 0 === (options.all === true)) throw new DavyError(cliErrors.usage, 'Name runs, or give --all.');
      const body = { reason: options.reason, ...(options.all ? {} : { runs }) };
      const { stopped } = await connect(options, io).post<{ stopped: string[] }>('/api/v1/chaos/stop', body);
      if (options.output === 'json') printJson(io, { stopped });
      else io.out(stopped.length === 0 ? term`nothing ran\n` : term`reverted: ${stopped.join(', ')}\n`);
    },
  );
  const clear = chaos
    .command('clear')
    .description('declare a DIRTY run clean, after looking')
    .argument('<run>')
    .addOption(reasonOption('what was found; written to the ledger'));
  outputOption(connectionOptions(clear)).action(async (run: string, options: Common & { reason: string }) => {
    const path = `/api/v1/chaos/runs/${encodeURIComponent(run)}/clear`;
    const cleared = await connect(options, io).post<ChaosRunDoc>(path, { reason: options.reason });
    if (options.output === 'json') printJson(io, { run: cleared });
    else io.out(term`${cleared.id}: ${cleared.phase}\n`);
  });
}

function experimentOptions(command: Command): Command {
  return command
    .argument('[experiment]', 'an experiment of the spec')
    .option('--inline <file>', 'an experiment from a YAML or JSON file, as it would stand in the spec')
    .option('--seed <n>', 'repeat the random choice of targets', seedNumber);
}

function seedNumber(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  throw new DavyError(cliErrors.usage, `"${text}" is not a seed (0 to ${2 ** 32 - 1}).`);
}

async function refBody(name: string | undefined, options: RunOptions, io: CliIo): Promise<Record<string, unknown>> {
  if ((name === undefined) === (options.inline === undefined)) {
    throw new DavyError(cliErrors.usage, 'Name an experiment, or give --inline FILE.');
  }
  const seed = options.seed === undefined ? {} : { seed: options.seed };
  if (options.inline === undefined) return { experiment: name, ...seed };
  const text = await readGivenFile(options.inline, io);
  try {
    return { inline: parse(text, { maxAliasCount: 10 }) as unknown, ...seed };
  } catch (error) {
    throw new DavyError(cliErrors.usage, `${options.inline} is no YAML: ${messageOf(error)}`, { cause: error });
  }
}

async function waitForEnd(api: ApiClient, started: ChaosRunDoc, io: CliIo): Promise<ChaosRunDoc> {
  let seen = '';
  for (;;) {
    const now = await api.get<ChaosRunDoc>(`/api/v1/chaos/runs/${started.id}`);
    if (now.phase !== seen) io.say(term`${now.id}: ${now.phase}\n`);
    seen = now.phase;
    if (now.conclusion !== null || now.phase === 'dirty') return now;
    await sleep(io.clock, pollMs, io.signal).catch(() => {
      io.say(term`${now.id} goes on and ends by itself; \`davy chaos stop ${now.id} --reason …\` ends it now.\n`);
      throw new Error('interrupted');
    });
  }
}

function renderRun(run: ChaosRunDoc): TerminalText {
  const { conclusion } = run;
  const lines: Shown[] = [
    `${run.id} ${run.experiment}: ${conclusion?.verdict ?? run.phase} (${run.what}: ${run.targets.join(', ')})`,
  ];
  for (const reason of conclusion?.reasons ?? []) lines.push(term`  ${reason}`);
  if (conclusion?.presence) lines.push(term`  ${presenceText(conclusion)}`);
  if (conclusion?.injection?.meanAddedMs)
    lines.push(
      term`  measured delay ${conclusion.injection.meanAddedMs.toFixed(1)} ms over ${conclusion.injection.injected} requests`,
    );
  for (const one of conclusion?.recovery ?? []) lines.push(term`  ${one.instance}: ${recoveryText(one)}`);
  if (conclusion?.control?.changeShare != null) lines.push(term`  ${controlText(conclusion.control)}`);
  if (conclusion?.steadyAfterMs != null)
    lines.push(term`  steady again after ${formatDurationMs(conclusion.steadyAfterMs)}`);
  return term`${joined(lines)}\n`;
}

type Conclusion = NonNullable<ChaosRunDoc['conclusion']>;

/** What was shown of the fault: for how long it was there, and what it hit. */
function presenceText({ presence, injection }: Conclusion): string {
  const { inScope, processes } = presence!;
  const hit = injection === null ? [] : [`hit ${injection.injected} of ${injection.matched} requests`];
  const seen = inScope === null || injection === null ? [] : [`${inScope} counted in its scope`];
  const fates = processes.map((one) => `${one.instance} pid ${one.pid} ${one.fate}`);
  return [`in force ${describePresence(presence!)}`, ...hit, ...seen, ...fates].join('; ');
}

/** A share alone would frighten: 27 % of a millisecond is nothing. */
function controlText({ what, beforeP95Ms, duringP95Ms, changeShare }: NonNullable<Conclusion['control']>): string {
  const ms = (value: number | null): string => (value === null ? 'unknown' : `${value.toFixed(1)} ms`);
  const sign = (changeShare ?? 0) > 0 ? '+' : '';
  return `control slice (${what}): p95 ${ms(beforeP95Ms)} before, ${ms(duringP95Ms)} during (${sign}${formatShare(changeShare ?? 0, 1)})`;
}

function renderCheck({ allowed, problem, targets, untouched, blast }: ChaosCheckDoc): TerminalText {
  const lines = [allowed ? 'may run' : `may not run [${problem?.code}] ${problem?.sentence}`];
  if (problem) lines.push(`next: ${problem.next}`);
  if (blast) {
    const shares = `${formatShare(blast.requestsShare, 1)} of the requests, ${formatShare(blast.instancesShare, 1)} of the instances`;
    lines.push(`would hit: ${targets.join(', ')} (${shares})`);
    lines.push(`left alone: ${untouched.join(', ') || 'no instance as a whole'}`);
  }
  return term`${joined(lines)}\n`;
}

type RecoveryDoc = Conclusion['recovery'][number];

function recoveryText({ killedAtMs, detectedAtMs, replacedAtMs, readyAtMs }: RecoveryDoc): string {
  const since = (at: number | null): string => (at === null ? 'never' : `after ${formatDurationMs(at - killedAtMs)}`);
  return `noticed ${since(detectedAtMs)}, replaced ${since(replacedAtMs)}, ready ${since(readyAtMs)}`;
}
