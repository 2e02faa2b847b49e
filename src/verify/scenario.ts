import type { Clock } from '../lib/clock.ts';
import type { ServiceSpec, Spec } from '../spec/model.ts';

/** Four verdicts, as everywhere: only PASS is good. */
export type ScenarioVerdict = 'PASS' | 'FAIL' | 'INCONCLUSIVE' | 'ERROR';

export interface ScenarioResult {
  name: string;
  verdict: ScenarioVerdict;
  /** One sentence: what was seen. */
  says: string;
  measured: Record<string, number | string>;
  seconds: number;
}

export type Finding = Pick<ScenarioResult, 'verdict' | 'says' | 'measured'>;

/** The running Davy's API. */
export interface VerifyApi {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
}

/** What the scenarios work on. */
export interface VerifyContext {
  api: VerifyApi;
  spec: Spec;
  /** The service that versions are released of, and the two versions. */
  service: ServiceSpec;
  good: string | null;
  bad: string | null;
  /** Where users come in: the whole chain is called through this port. */
  entryPort: number;
  ratePerSecond: number;
  clock: Clock;
  /** Kills the controller without notice; null where its process is not on this machine. */
  killController: (() => Promise<void>) | null;
  say: (line: string) => void;
}

export interface Scenario {
  name: string;
  run: (context: VerifyContext) => Promise<Finding>;
}

export const inconclusive = (says: string): Finding => ({ verdict: 'INCONCLUSIVE', says, measured: {} });

export const noVersion = ({ name }: ServiceSpec): Finding =>
  inconclusive(`${name} has no version to release; name one with --good`);

/** PASS when the sentence list of what is wrong is empty. */
export function finding(problems: readonly string[], good: string, measured: Finding['measured']): Finding {
  return problems.length === 0
    ? { verdict: 'PASS', says: good, measured }
    : { verdict: 'FAIL', says: problems.join('; '), measured };
}
