import { messageOf } from '../lib/error.ts';
import { blocks, type Markdown, md, table } from '../lib/outside-text/markdown.ts';
import { badCanary, headerRoute, split } from './release-scenarios.ts';
import { chaosRevert, killAndRestart, limiter, retryAndBreaker } from './resilience-scenarios.ts';
import type { Finding, ScenarioResult, ScenarioVerdict, VerifyContext } from './scenario.ts';
import { silence } from './silence-scenario.ts';

const scenarios = [split, headerRoute, badCanary, silence, limiter, retryAndBreaker, chaosRevert, killAndRestart];

export interface Verification {
  system: string;
  startedAtMs: number;
  seconds: number;
  verdict: ScenarioVerdict;
  scenarios: ScenarioResult[];
}

/** The eight scenarios, one after the other: one that fails does not keep the others from being tried. */
export async function verifySystem(context: VerifyContext): Promise<Verification> {
  const { clock, say } = context;
  const startedAtMs = clock.nowMs();
  const startMs = clock.monoMs();
  const results: ScenarioResult[] = [];
  for (const [index, scenario] of scenarios.entries()) {
    say(`${index + 1}/${scenarios.length} ${scenario.name} …`);
    const beganMs = clock.monoMs();
    const found = await scenario
      .run(context)
      .catch((error): Finding => ({ verdict: 'ERROR', says: messageOf(error), measured: {} }));
    const result = { name: scenario.name, ...found, seconds: (clock.monoMs() - beganMs) / 1000 };
    results.push(result);
    say(`    ${result.verdict}: ${result.says}`);
  }
  const seconds = (clock.monoMs() - startMs) / 1000;
  return { system: context.spec.system, startedAtMs, seconds, verdict: overall(results), scenarios: results };
}

/** PASS only when all passed; otherwise the gravest. */
export function overall(results: readonly Pick<ScenarioResult, 'verdict'>[]): ScenarioVerdict {
  for (const verdict of ['ERROR', 'FAIL', 'INCONCLUSIVE'] as const) {
    if (results.some((result) => result.verdict === verdict)) return verdict;
  }
  return results.length === 0 ? 'INCONCLUSIVE' : 'PASS';
}

export function verificationMarkdown(verification: Verification): Markdown {
  const { system, startedAtMs, seconds, verdict, scenarios: results } = verification;
  const measured = results.map((one) => {
    const values = Object.entries(one.measured).map(([name, value]) => `${name} ${value}`);
    return md`- **${one.name}**: ${values.join(', ') || 'nothing measured'}`;
  });
  return blocks([
    md`# Verification of ${system}`,
    '',
    `${verdict} · ${new Date(startedAtMs).toISOString()} · ${seconds.toFixed(0)} s`,
    '',
    table(
      ['', 'scenario', 'verdict', 'what was seen', 'seconds'],
      results.map((one, i) => [i + 1, one.name, one.verdict, one.says, one.seconds.toFixed(1)]),
    ),
    '',
    md`## Measured`,
    '',
    ...measured,
    '',
  ]);
}
