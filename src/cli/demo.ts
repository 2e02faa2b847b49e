import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { type App, openApp } from '../app.ts';
import { type DemoOutcome, shortcomings } from '../demo/outcome.ts';
import { tellStory } from '../demo/story.ts';
import { clearLeftovers } from '../leftovers.ts';
import { DavyError } from '../lib/error.ts';
import { joined, type Shown, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { formatShare } from '../lib/units.ts';
import { type Load, startLoad, steadyPlan } from '../load/start-load.ts';
import type { ReleaseView } from '../release/view.ts';
import { loadSpec } from '../spec/load.ts';
import type { Spec } from '../spec/model.ts';
import { DEFAULT_PORT, portNumber } from './api-client.ts';
import { renderDemo } from './demo-view.ts';
import { cliErrors } from './errors.ts';
import { type CliIo, EXIT_INTERRUPTED } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { createScreen } from './screen.ts';
import { styleFor } from './style.ts';

const EXAMPLE = fileURLToPath(new URL('../../examples/shop/davy.yaml', import.meta.url));
const REQUESTS_PER_SECOND = 300;

interface DemoOptions {
  once?: boolean;
  port: number;
  data?: string;
  output: string;
}

/** `demo`: the shop, under load, with a good release and a bad one. What `npm start` runs. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('demo')
    .description('the shop under load: a good version goes through, a bad one is rolled back')
    .option('--once', 'exit after the summary: 0 only if everything went as it should')
    .option('--port <port>', 'port of the API and the page', portNumber, DEFAULT_PORT)
    .option('--data <dir>', 'where it keeps ledger and logs; emptied first (default: examples/shop/.davy/demo)');
  outputOption(command).action((options: DemoOptions) => run(options, io));
}

async function run(options: DemoOptions, io: CliIo): Promise<void> {
  const { spec } = await loadSpec(EXAMPLE);
  const dataDir = options.data ?? join(fileURLToPath(new URL('../../examples/shop/.davy', import.meta.url)), 'demo');
  const say = (line: string): void => io.say(term`${line}\n`);
  say('davy demo: service-a → service-b → service-c, every hop through the gateway');
  await clearLeftovers(dataDir, io.clock);
  const app = await openApp({
    spec,
    dataDir,
    host: '127.0.0.1',
    port: options.port,
    env: io.env,
    say: () => {},
    onFatal: (error) => say(String(error)),
  });
  try {
    say(`everything is up: ${REQUESTS_PER_SECOND} requests/s begin; watch at ${app.url}/#token=${app.token}`);
    const load = startLoad(steadyPlan({ url: 'http://127.0.0.1:8081/', ratePerSecond: REQUESTS_PER_SECOND }));
    const outcome = await tell(app, load, spec, options, io);
    const problems = shortcomings(outcome);
    if (options.output === 'json') printJson(io, { ...outcome });
    else io.out(summary(outcome, problems, io));
    if (problems.length > 0) throw new DavyError(cliErrors['demo-failed'], `Not as it should: ${problems.join('; ')}.`);
    if (!options.once) await serveOn(app, io);
  } finally {
    await app.stop();
  }
}

async function tell(app: App, load: Load, spec: Spec, options: DemoOptions, io: CliIo): Promise<DemoOutcome> {
  const service = spec.services['service-b'];
  if (!service) throw new Error('the example lost its service-b');
  const drawn = io.interactive && options.output === 'text';
  const screen = createScreen(io);
  const history = createHistory();
  const show = (view: ReleaseView): void => {
    history.add(view);
    if (drawn) screen.draw(renderDemo(view, load.live(), history, styleFor(io.color)));
  };
  const say = (line: string): void => (drawn ? undefined : io.say(term`${line}\n`));
  try {
    return await tellStory({
      app,
      load,
      service,
      good: 'v2',
      bad: 'v3',
      clock: io.clock,
      signal: io.signal,
      say,
      show,
    });
  } finally {
    screen.end();
    await load.stop().catch(() => {});
  }
}

/** Error rates between two looks, from the growing counts of the current step. */
function createHistory() {
  let seen = { key: '', canary: 0, canaryErrors: 0, stable: 0, stableErrors: 0 };
  let release = '';
  const history = { canary: [] as number[], stable: [] as number[] };
  return {
    ...history,
    add(view: ReleaseView): void {
      const step = view.counts.at(-1);
      if (!step) return;
      if (view.id !== release) for (const line of [history.canary, history.stable]) line.length = 0;
      release = view.id;
      const key = `${view.id}/${view.counts.length}`;
      const before = seen.key === key ? seen : { canary: 0, canaryErrors: 0, stable: 0, stableErrors: 0 };
      const canary = step.canaryRequests - before.canary;
      const stable = step.stableRequests - before.stable;
      if (canary + stable === 0) return;
      history.canary.push(canary > 0 ? (step.canaryErrors - before.canaryErrors) / canary : 0);
      history.stable.push(stable > 0 ? (step.stableErrors - before.stableErrors) / stable : 0);
      seen = {
        key,
        canary: step.canaryRequests,
        canaryErrors: step.canaryErrors,
        stable: step.stableRequests,
        stableErrors: step.stableErrors,
      };
    },
  };
}

function summary(outcome: DemoOutcome, problems: string[], io: CliIo): TerminalText {
  const style = styleFor(io.color);
  const mark = (ok: boolean): TerminalText => (ok ? style.good('✓') : style.bad('✗'));
  const [good, bad] = outcome.releases;
  const { split, headerRoute, ledger } = outcome;
  const lines: Shown[] = [
    '',
    problems.length === 0
      ? style.good('Everything went as it should.')
      : style.bad('Something did not go as it should.'),
    '',
    ...(good ? [goodLine(good, mark(good.outcome === 'completed'))] : []),
    ...(bad ? badLines(bad, mark(bad.outcome === 'rolled-back')) : []),
    term`${mark(split.weight >= split.low && split.weight <= split.high)} split: ${formatShare(split.weight)} asked for, ${formatShare(split.observed, 2)} measured over ${split.requests} requests (95 % interval ${formatShare(split.low, 2)} to ${formatShare(split.high, 2)})`,
    term`${mark(headerRoute.ok)} header route: x-canary: true reached the canary`,
    term`${mark(ledger.verified)} ledger: ${ledger.size} records verified, root ${ledger.root.slice(0, 16)}…`,
    '',
  ];
  return term`${joined(lines)}\n`;
}

type ReleaseLine = DemoOutcome['releases'][number];

function goodLine({ id, version, outcome, canaryRequests, failedRequests }: ReleaseLine, mark: Shown): Shown {
  return term`${mark} ${id}: ${version} ${outcome}; ${canaryRequests} requests, ${failedRequests} failed`;
}

function badLines(bad: ReleaseLine, mark: Shown): Shown[] {
  const how = `${bad.outcome} (${bad.speed})`;
  const seconds = bad.secondsToZero?.toFixed(1) ?? '?';
  return [
    term`${mark} ${bad.id}: ${bad.version} ${how}; ${bad.canaryRequests} requests reached it, ${bad.failedRequests} failed`,
    term`    ${bad.reason}`,
    term`    ${seconds} s from its first failed request to the last request it received`,
  ];
}

async function serveOn(app: App, io: CliIo): Promise<void> {
  io.say(term`Still serving until Ctrl-C.\n  page ${app.url}/#token=${app.token}\n  token ${app.token}\n`);
  const where = app.url.endsWith(`:${DEFAULT_PORT}`) ? '' : ` --port ${new URL(app.url).port}`;
  const verbs = ['status', 'explain service-b-2', 'evidence verify'].map((verb) => `npx davy ${verb}${where}`);
  io.say(term`  try: ${joined(verbs, '   ·   ')}\n`);
  await new Promise<void>((resolve) => {
    if (io.signal.aborted) resolve();
    io.signal.addEventListener('abort', () => resolve(), { once: true });
    // Keeps the process alive while it only serves.
    const alive = setInterval(() => {}, 60_000);
    io.signal.addEventListener('abort', () => clearInterval(alive), { once: true });
  });
  io.say(term`stopping …\n`);
  io.exitCode = io.signal.reason === 'SIGTERM' ? 0 : EXIT_INTERRUPTED;
}
