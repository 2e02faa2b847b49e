import type { ErrorKind, Position } from '../../lib/error.ts';
import { own } from '../../lib/own.ts';
import type { Finding } from '../finding.ts';
import type { SpecPath } from '../locator.ts';
import type { PolicySpec, ServiceSpec, Spec } from '../model.ts';

/** What a lint sees: the normalised spec, and where things stand in the file. */
export interface LintContext {
  spec: Spec;
  /** Place of the value at a path, or of the nearest thing around it that is written. */
  at(path: SpecPath): Position;
  /** Whether something is written at the path. */
  has(path: SpecPath): boolean;
}

/** One rule over the whole spec; pure. */
export type Lint = (context: LintContext) => Finding[];

interface Kind {
  code: string;
  next: string;
}

/** A sentence that takes its time (it names the nearest known name) is given as a function and made when it is told. */
type Sentence = string | (() => string);

export function errorFinding(kind: ErrorKind, sentence: Sentence, position: Position, next = kind.next): Finding {
  return findingOf('error', sentence, { code: kind.code, position, next });
}

export function warningFinding(kind: Kind, sentence: Sentence, position: Position, next = kind.next): Finding {
  return findingOf('warning', sentence, { code: kind.code, position, next });
}

function findingOf(
  severity: Finding['severity'],
  sentence: Sentence,
  rest: Pick<Finding, 'code' | 'next'> & { position: Position },
): Finding {
  const { code, position, next } = rest;
  if (typeof sentence === 'string') return { code, severity, sentence, position, next };
  return {
    ...{ code, severity, position, next },
    get sentence() {
      return sentence();
    },
  };
}

/** Every service with the policy it is released by. Services whose policy does not exist are another lint's business. */
export function releases(spec: Spec): { service: ServiceSpec; policy: PolicySpec }[] {
  return Object.values(spec.services).flatMap((service) => {
    const policy = own(spec.policies, service.policy);
    return policy ? [{ service, policy }] : [];
  });
}

/** A traffic field stands in the service or in `defaults`; this is where a reader has to change it. */
export function trafficPath({ has }: LintContext, service: ServiceSpec, fields: SpecPath): SpecPath {
  const own: SpecPath = ['services', service.name, 'traffic', ...fields];
  const shared: SpecPath = ['defaults', 'traffic', ...fields];
  return !has(own) && has(shared) ? shared : own;
}
