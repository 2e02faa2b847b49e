import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { JsHistogram } from 'hdr-histogram-js';
import { findFreePort } from '../src/lib/process.ts';
import { createLatencyHistogram, decodeHistogram } from '../src/load/figures.ts';
import type { LoadResult } from '../src/load/result.ts';
import { startLoad, steadyPlan } from '../src/load/start-load.ts';
import { median } from './gateway/machine.ts';

/**
 * `npm run bench:load [-- --rounds N] [--seconds N] [--only PATH]`: the generator against wrk. One server on core 1, the
 * generators in turn on core 0, in interleaved rounds whose order changes, and the medians of the rounds as ratios. wrk runs
 * twice in every round: what its second series says about its first is the least difference that the comparison can tell. Then the
 * generator's own promises: 5,000 requests per second offered within 1 % with a lag p99 under 5 ms, and a stall that shows.
 *
 * What is compared is the same quantity. wrk is a closed loop and measures from the sending; before it prints its quantiles it
 * corrects them for coordinated omission (`stats_correct` in its wrk.c: for a latency x above twice the mean interval i of a
 * connection it adds x-i, x-2i, ... down to i). The generator's closed model measures from the sending as well, and the same rule
 * is applied to its raw histogram here. Its own reports never correct: they use the open model instead. Both send the same octets.
 */
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);
const connections = 32;
/** A Node process compiles what it runs during its first seconds. wrk is machine code from the start. */
const warmupMs = 2_000;
/** The server as well, for each path: what its compiler and its first heap take would fall on whoever comes first. */
const serverWarmupSeconds = 4;
/**
 * The server's collector works on the server's own thread (its helpers would share the one core with it) and seldom: at its defaults it
 * paused every 7 ms for 0.2 ms at 80,000/s, so that one request in 20 met a pause, whoever had sent it. Now it is every 92 ms.
 */
const serverOptions = ['--single-threaded-gc', '--min-semi-space-size=64', '--max-semi-space-size=64'];
const figures = ['perSecond', 'p50Ms', 'p90Ms', 'p99Ms'] as const;

/**
 * A round in which more than this share of its measured time was stolen is repeated, all of it, whatever it found: a stolen tick of
 * 10 ms is twenty times the p99 and hits whoever runs.
 */
const stolenMax = 0.01;

type Round = Record<(typeof figures)[number], number>;

const servers = {
  '/': 'answers at once: the maximum rate',
  '/1ms': 'answers after 1 ms',
  '/5ms': 'answers after 5 ms',
  '/tail': 'log-normal, median 2 ms, p99 20 ms',
};

const pinned = pin();
const port = await findFreePort();
const url = (path: string): string => `http://127.0.0.1:${port}${path}`;
const server = await startServer();
try {
  for (const [path, what] of Object.entries(servers)) {
    if (options.only === undefined || options.only === path) await compareClosed(path, what);
  }
  if (options.only === undefined) {
    await compareOpen('/5ms');
    await promises();
    await stall();
  }
} finally {
  server.kill('SIGKILL');
}

/** This process and what it starts stay on core 0. */
function pin(): boolean {
  if (availableParallelism() < 2) return false;
  try {
    execFileSync('taskset', ['-acp', '0', String(process.pid)], { stdio: 'ignore' });
    return true;
  } catch {
    console.log('without taskset nothing is pinned: the tail is not to be trusted');
    return false;
  }
}

async function startServer(): Promise<ChildProcess> {
  const argv = [process.execPath, ...serverOptions, fileURLToPath(new URL('./load-server.mjs', import.meta.url))];
  const [program = '', ...rest] = pinned ? ['taskset', '-c', '1', ...argv] : argv;
  const child = spawn(program, rest, {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

async function compareClosed(path: string, what: string): Promise<void> {
  const series: [wrk: Round[], own: Round[], wrkAgain: Round[]] = [[], [], []];
  const turns = [() => wrkRound(path, seconds), () => closedRound(path), () => wrkRound(path, seconds)];
  await wrkRound(path, serverWarmupSeconds);
  let repeated = 0;
  for (let i = 0; i < rounds; i++) {
    const before = stolenSeconds();
    const found: [number, Round][] = [];
    for (const turn of [0, 1, 2].map((k) => (k + i) % 3)) found.push([turn, await turns[turn]!()]);
    if (stolenSeconds() - before > stolenMax * 3 * seconds && repeated < 2 * rounds) {
      repeated++;
      i--;
    } else for (const [turn, round] of found) series[turn]!.push(round);
  }
  const again = repeated === 0 ? '' : `, ${repeated} repeated because the host took its processors away`;
  compare(
    `${path} ${what}; closed model, ${connections} connections, ${rounds} rounds of ${seconds} s${again}`,
    ...series,
  );
}

/** What the host of a virtual machine gave to others while this one wanted to run (proc(5), `steal`, of all cores); 0 where unknown. */
function stolenSeconds(): number {
  try {
    return Number(readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!.trim().split(/\s+/)[8] ?? 0) / 100;
  } catch {
    return 0;
  }
}

/** Where the service takes its time whatever the load, the open model at wrk's rate must see what wrk sees. */
async function compareOpen(path: string): Promise<void> {
  const wrk: Round[] = [];
  const own: Round[] = [];
  for (let i = 0; i < rounds; i++) {
    const peer = await wrkRound(path, seconds);
    const durationMs = warmupMs + seconds * 1_000;
    const plan = steadyPlan({ url: url(path), ratePerSecond: peer.perSecond, durationMs, warmupMs });
    const result = await startLoad(plan).done;
    wrk.push(peer);
    own.push(roundOf(result, result.histograms.response));
  }
  compare(`${path} open model (Poisson) at wrk's rate, response time from the intended time`, wrk, own);
}

async function closedRound(path: string): Promise<Round> {
  const durationMs = warmupMs + seconds * 1_000;
  const plan = { ...steadyPlan({ url: url(path), ratePerSecond: 1, warmupMs }) };
  const result = await startLoad({ ...plan, model: { kind: 'closed', connections, durationMs } }).done;
  return roundOf(result, result.histograms.service, (1_000 * connections) / result.achievedPerSecond);
}

/** `intervalMs`: of one connection's requests, for wrk's correction; without it nothing is corrected. */
function roundOf({ achievedPerSecond }: LoadResult, encoded: string, intervalMs = 0): Round {
  const histogram = createLatencyHistogram();
  histogram.addWhileCorrectingForCoordinatedOmission(decodeHistogram(encoded) as JsHistogram, 1_000 * intervalMs);
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1_000;
  return { perSecond: achievedPerSecond, p50Ms: at(50), p90Ms: at(90), p99Ms: at(99) };
}

async function wrkRound(path: string, forSeconds: number): Promise<Round> {
  const flags = ['-t1', `-c${connections}`, `-d${forSeconds}s`, '--latency', '-H', 'user-agent: davy-load'];
  const child = spawn('wrk', [...flags, url(path)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(child, 'close');
  const ms = (percent: number): number => {
    const [, value, unit] = new RegExp(`${percent}%\\s+([\\d.]+)(us|ms|s)`).exec(text) ?? [];
    return Number(value) * { us: 0.001, ms: 1, s: 1_000 }[unit as 'us' | 'ms' | 's'];
  };
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
  return { perSecond, p50Ms: ms(50), p90Ms: ms(90), p99Ms: ms(99) };
}

/**
 * The ratio is the median of the rounds' ratios: the speed of a shared machine drifts by a third within minutes, and the turns of one
 * round are neighbours. The medians of each are there for their units, the least disturbed round of each for what is possible.
 */
function compare(title: string, wrk: Round[], own: Round[], wrkAgain: Round[] = []): void {
  console.log(`${title} (wrk / davy${wrkAgain.length > 0 ? '; wrk / wrk' : ''})`);
  for (const figure of figures) {
    const best = (all: number[]): number => (figure === 'perSecond' ? Math.max(...all) : Math.min(...all));
    const of = (series: Round[]): number[] => series.map((round) => round[figure]);
    const ratios = (series: Round[]): number[] => of(series).map((value, i) => value / wrk[i]![figure]);
    const pair = (name: string, pick: (values: number[]) => number): string =>
      `${name} ${[wrk, own].map((all) => pick(of(all)).toFixed(3).padStart(10)).join(' / ')}`;
    const itself = wrkAgain.length > 0 ? `   wrk itself ${median(ratios(wrkAgain)).toFixed(3)}` : '';
    const possible = `${pair('best', best)} = ${(best(of(own)) / best(of(wrk))).toFixed(3)}`;
    console.log(
      `  ${figure.padEnd(9)} ${median(ratios(own)).toFixed(3)}${itself}   ${pair('median', median)}   ${possible}`,
    );
    const each = (series: Round[]): string =>
      ratios(series)
        .map((ratio) => ratio.toFixed(2))
        .join(' ');
    console.log(`            rounds ${each(own)}${wrkAgain.length > 0 ? `   wrk itself ${each(wrkAgain)}` : ''}`);
  }
}

async function promises(): Promise<void> {
  const plan = steadyPlan({ url: url('/'), ratePerSecond: 5_000, durationMs: 10_000, warmupMs });
  const { offeredPerSecond, lag, cpuShare, validity } = await startLoad(plan).done;
  console.log('open model, 5,000/s Poisson for 10 s (limits: offered within 1 %, lag p99 < 5 ms)');
  console.log(
    `  offered ratio ${(offeredPerSecond / 5_000).toFixed(4)}, lag p99 ${lag.quantiles.p99.ms?.toFixed(2)} ms, CPU ${(100 * cpuShare).toFixed(0)} % of a core, ${validity.verdict} ${validity.reasons.join('; ')}`,
  );
}

/** The server stands still for one second of five: an honest generator sees a p90 near 0.5 s and a p99 near 0.95 s. */
async function stall(): Promise<void> {
  const load = startLoad(steadyPlan({ url: url('/'), ratePerSecond: 5_000, durationMs: 5_000 }));
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  server.kill('SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  server.kill('SIGCONT');
  const { response, service } = await load.done;
  console.log('stall of 1 s in 5 s (truth: p90 about 500 ms, p99 about 950 ms)');
  console.log(
    `  response p90 ${response.quantiles.p90.ms?.toFixed(0)} ms, p99 ${response.quantiles.p99.ms?.toFixed(0)} ms; service time alone says p90 ${service.quantiles.p90.ms?.toFixed(0)} ms`,
  );
}
