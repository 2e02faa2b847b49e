import { parseArgs } from 'node:util';
import { drawPlan } from './plan.ts';
import { simulate } from './run.ts';

/** `npm run sim -- --seeds 1000 [--from 1]` runs many; `npm run sim -- --seed N` replays one and prints its plan. */
const { values } = parseArgs({
  options: { seeds: { type: 'string' }, from: { type: 'string', default: '1' }, seed: { type: 'string' } },
});

if (values.seed !== undefined) {
  const plan = drawPlan(Number(values.seed));
  process.stdout.write(`${JSON.stringify({ ...plan, spec: plan.spec.policies.sim }, null, 2)}\n`);
  process.stdout.write(`${JSON.stringify(await simulate(Number(values.seed)))}\n`);
} else {
  const first = Number(values.from);
  const count = Number(values.seeds ?? 100);
  const outcomes = new Map<string, number>();
  const failures: string[] = [];
  for (let seed = first; seed < first + count; seed++) {
    try {
      for (const outcome of (await simulate(seed)).outcomes) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    } catch (error) {
      failures.push(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
      process.stderr.write(`${failures.at(-1)}\n`);
    }
    if ((seed - first + 1) % 100 === 0)
      process.stderr.write(`${seed - first + 1} of ${count}, ${failures.length} failed\n`);
  }
  for (const [outcome, times] of [...outcomes].sort()) process.stdout.write(`${outcome} ${times}\n`);
  process.stdout.write(`${count - failures.length} passed, ${failures.length} failed\n`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}
