import { expect, it } from 'vitest';
import { runCrashCase } from './testing/crash-fuzz.ts';

const CASES = Number(process.env.DAVY_LEDGER_CASES ?? 300);
const FIRST_SEED = Number(process.env.DAVY_LEDGER_SEED ?? 1);

it(`loses no acknowledged record in ${CASES} seeded lives with faults and crashes`, {
  timeout: 3_600_000,
}, async () => {
  let acknowledged = 0;
  let recoveries = 0;
  const kinds = new Set<string>();
  for (let seed = FIRST_SEED; seed < FIRST_SEED + CASES; seed++) {
    const outcome = await runCrashCase(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
    });
    acknowledged += outcome.acknowledged;
    recoveries += outcome.recoveries;
    for (const fault of outcome.faults) kinds.add(fault);
  }
  expect(acknowledged).toBeGreaterThan(CASES * 10);
  expect(recoveries).toBeGreaterThan(0);
  expect(kinds.size).toBeGreaterThan(10);
});
