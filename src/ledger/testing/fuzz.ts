import { parseArgs } from 'node:util';
import { runCrashCase } from './crash-fuzz.ts';

/** `npm run fuzz:ledger -- [--cases 20000] [--seed 1]`: the crash search of crash.test.ts, as long as wanted. */
const { values } = parseArgs({
  options: { cases: { type: 'string', default: '20000' }, seed: { type: 'string', default: '1' } },
});
const first = Number(values.seed);
const cases = Number(values.cases);
const totals = { acknowledged: 0, recoveries: 0 };
const faults = new Map<string, number>();

for (let seed = first; seed < first + cases; seed++) {
  try {
    const outcome = await runCrashCase(seed);
    totals.acknowledged += outcome.acknowledged;
    totals.recoveries += outcome.recoveries;
    for (const fault of outcome.faults) faults.set(fault, (faults.get(fault) ?? 0) + 1);
  } catch (error) {
    console.error(`\nseed ${seed}:`, error);
    console.error(`Replay it with: npm run fuzz:ledger -- --cases 1 --seed ${seed}`);
    process.exit(1);
  }
  if ((seed - first) % 500 === 0) process.stderr.write(`\r${seed - first} of ${cases}`);
}
process.stderr.write('\r');
console.log(
  `${cases} cases: ${totals.acknowledged} acknowledged records, none lost; ${totals.recoveries} recoveries after a fault.`,
);
for (const [fault, count] of [...faults].sort()) console.log(`${String(count).padStart(7)}  ${fault}`);
