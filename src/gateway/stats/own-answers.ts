import type { OwnAnswers } from '../../metrics/source.ts';

export function noOwnAnswers(): OwnAnswers {
  return {
    limiter: 0,
    breaker: 0,
    injected: 0,
    noUpstream: 0,
    badRequest: 0,
    answerLimit: 0,
    connectionClosed: 0,
    exhausted: 0,
    streamIdle: 0,
    deadline: 0,
    withdrawn: 0,
  };
}
