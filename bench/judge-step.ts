import type { JudgeSetup, JudgeState, Look } from '../src/analysis/judge.ts';
import { RATE_PSI } from '../src/analysis/kernel.ts';
import { lookInto } from '../src/analysis/look.ts';
import { newMixture } from '../src/analysis/mixture.ts';
import { planOf } from '../src/analysis/plan.ts';
import { stepRate } from '../src/analysis/rate-tests.ts';
import { newState } from '../src/analysis/state.ts';
import { judge } from '../src/analysis/tep-judge.ts';
import { policyFor } from './judge/davy.ts';
import { World } from './judge/world.ts';

// `npm run bench:judge-step`: what a look costs. The peer is JSON.parse of the same tick: the least that reading it costs.
const RELEASES = 10_000;
const EDGES = [5, 10, 25, 50, 75, 100, 150, 200, 300, 500, 1000, 2500];

/** Processor time in µs: what a look takes from a core, whatever else the machine is doing. */
function spent(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function microseconds(rounds: number, work: (i: number) => void): number {
  const loop = (count: number): void => {
    for (let i = 0; i < count; i++) work(i);
  };
  loop(rounds / 10);
  return spent(() => loop(rounds)) / rounds;
}

const mixture = newMixture(RATE_PSI.length);
const test = { ratio: 1.1, plus: 1e-4, psi: RATE_PSI, guess: 0.001, phi: 1 };
const metric = microseconds(500_000, (i) => stepRate(mixture, test, 100, i & 1, 900, 1, null));

const policy = policyFor({ lookMs: 1000 }, { latency: [{ quantile: 0.95, underMs: 500 }] });
const setup: JudgeSetup = { policy, stable: 'v1', canary: 'v2' };
const world = new World({ rps: 1000, base: 0.001, canaryInstances: 3, stableInstances: 3, edges: EDGES }, 1);
const ticks = Array.from({ length: 300 }, () => world.next(1).seen.tick);

let state: JudgeState = judge.start(setup);
const looks: Look[] = ticks.map((tick) => ({ dtMs: 1000, tick, stepIndex: 0, weightBp: 1000 }));
let t = 0;
const nextLook = (i: number): Look => {
  const look = looks[i % looks.length]!;
  look.tick!.t = ++t;
  return look;
};
const whole = microseconds(50_000, (i) => {
  state = judge.look(setup, state, nextLook(i)).state;
});
const plan = planOf(setup);
const inPlace = newState(setup, plan);
const numbers = microseconds(50_000, (i) => void lookInto(inPlace, setup, plan, nextLook(i)));
const text = JSON.stringify(ticks[0]);
const peer = microseconds(100_000, () => void JSON.parse(text));

// Ten thousand releases in turn, each with its own state: what the cache sees, not one hot release.
const states = Array.from({ length: RELEASES }, () => judge.start(setup));
const round = (): void => {
  for (let i = 0; i < RELEASES; i++) states[i] = judge.look(setup, states[i]!, nextLook(i)).state;
};
for (let i = 0; i < 3; i++) round();
const second = spent(round) / 1000;

const line = (name: string, value: string): void => void process.stdout.write(`${name.padEnd(62)} ${value}\n`);
line('one step of one metric (6 bets)', `${metric.toFixed(2)} µs`);
line('one look, all metrics, numbers only', `${numbers.toFixed(1)} µs`);
line('one look with copied state, sentence and table', `${whole.toFixed(1)} µs`);
line('  against JSON.parse of the same tick', `${(whole / peer).toFixed(1)} times (${peer.toFixed(1)} µs)`);
line('state of one release as JSON', `${(JSON.stringify(state).length / 1024).toFixed(1)} KiB`);
line(
  `${RELEASES} releases, one look each`,
  `${second.toFixed(0)} ms: ${(second / 10).toFixed(0)} % of a core at 1 s looks`,
);
