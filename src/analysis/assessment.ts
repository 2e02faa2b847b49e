import type { RollbackSpeed, Verdict } from './judge.ts';
import type { MetricName } from './plan.ts';
import type { MetricValue } from './weigh.ts';

/** Why a verdict was reached, with the figures that the sentence needs. */
export type Why =
  | { kind: 'counting-starts'; problem: string }
  | { kind: 'no-data'; problem: string; blindMs: number; rolledBack: boolean }
  | { kind: 'canary-silent'; blindMs: number; looks: number; rolledBack: boolean }
  | { kind: 'stable-silent'; looks: number }
  | { kind: 'instant'; requests: number; errors: number; overMs: number; limit: number }
  | { kind: 'evidence'; named: MetricName[] }
  | { kind: 'instance-instant'; instance: string; requests: number; errors: number }
  | { kind: 'instance-evidence'; instance: string; without: number }
  | { kind: 'uncorroborated'; without: number }
  | {
      kind: 'sustained';
      limit: string;
      /** The limit in ms for latency, else null. */
      underMs: number | null;
      forMs: number;
      requests: number;
      events: number;
      share: number;
      /** The instance that alone breaks it, or null. */
      instance: string | null;
    }
  | { kind: 'shared'; limits: string[] }
  | { kind: 'placebo'; evidence: number }
  | { kind: 'load-drop'; evidence: number }
  | { kind: 'safe' }
  | { kind: 'inconclusive'; waiting: string; rolledBack: boolean }
  | { kind: 'no-traffic' }
  | { kind: 'cold-start'; youngestMs: number; warming: boolean }
  | { kind: 'waiting'; waiting: string };

/** One look in numbers; words are put to it afterwards. */
export interface Assessment {
  verdict: Verdict;
  speed: RollbackSpeed | null;
  why: Why;
  total: number;
  metrics: MetricValue[];
  promote: Promotion;
  instance: string | null;
}

export interface Promotion {
  passed: boolean;
  /** The first gate that is not passed, for people; null when all are. */
  missing: string | null;
}

/** Beyond this evidence says nothing more, and JSON holds no exact integers much above it (I-JSON, RFC 7493 section 2.2). */
const MOST_EVIDENCE = 1e15;

/** Evidence as it leaves the judge: every record, report, page and replay has the same figure. */
export function told(evidence: number): number {
  return Math.min(MOST_EVIDENCE, evidence);
}
