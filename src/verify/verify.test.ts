import { expect, test } from 'vitest';
import type { ScenarioVerdict } from './scenario.ts';
import { overall, verificationMarkdown } from './verify.ts';

test.each<[ScenarioVerdict[], ScenarioVerdict]>([
  [['PASS', 'PASS'], 'PASS'],
  [['PASS', 'INCONCLUSIVE'], 'INCONCLUSIVE'],
  [['INCONCLUSIVE', 'FAIL'], 'FAIL'],
  [['FAIL', 'ERROR', 'PASS'], 'ERROR'],
  [[], 'INCONCLUSIVE'],
])('%j together are %s', (verdicts, together) => {
  expect(overall(verdicts.map((verdict) => ({ verdict })))).toBe(together);
});

test('the report is a table that no sentence can break', () => {
  const says = 'a | b\nc';
  const text = String(
    verificationMarkdown({
      ...{ system: 'shop', startedAtMs: 0, seconds: 1, verdict: 'FAIL' },
      scenarios: [{ name: 'split', verdict: 'FAIL', says, measured: { weight: 0.1 }, seconds: 1 }],
    }),
  );
  expect(text).toContain('| 1 | split | FAIL | a \\| b⏎c | 1.0 |');
  expect(text).toContain('- **split**: weight 0.1');
});
