/** Why a try brought no whole answer: whose doing it is, what it counts as, what the client gets, and whether another try can fare better. */

import type { OwnAnswers } from '../../metrics/source.ts';
import { F } from '../stats/flags.ts';
import { ABORTED, type Outcome, OWN, RESET, TIMEOUT } from '../stats/outcome.ts';
import type { Cause } from './answer.ts';

/** What an answer of the gateway's own says besides its detail. */
export interface OwnReply {
  readonly status: number;
  readonly flag: number;
  readonly cause: Cause;
  /** Further lines with their CRLFs. */
  readonly extra?: string;
}

export interface Failure extends OwnReply {
  /** What the try counts as for the instance and its version. */
  readonly outcome: Outcome;
  readonly detail: string;
  /** Where it counts among the gateway's own answers; null: the version is charged, and the answer is booked as its. */
  readonly own: keyof OwnAnswers | null;
  /**
   * `unsent`: no instance has begun to work on it, so any request may go to another one. `repeatable`: a request that may be repeated
   * (RFC 9110 section 9.2.2). `never`: the next try must fail in the same way.
   */
  readonly retry: 'unsent' | 'repeatable' | 'never';
}

export const failures = {
  refused: {
    outcome: RESET,
    flag: F.connectFailure,
    status: 502,
    cause: 'connect-failure',
    detail: 'the instance could not be reached',
    own: null,
    retry: 'unsent',
  },
  unknownName: {
    outcome: RESET,
    flag: F.dnsFailure,
    status: 502,
    cause: 'connect-failure',
    detail: 'the name of the instance could not be resolved',
    own: null,
    retry: 'unsent',
  },
  reset: {
    outcome: RESET,
    flag: F.reset,
    status: 502,
    cause: 'upstream-reset',
    detail: 'the instance closed the connection before its answer was complete',
    own: null,
    retry: 'repeatable',
  },
  notProcessed: {
    outcome: RESET,
    flag: F.reset,
    status: 502,
    cause: 'upstream-reset',
    detail: 'the instance has not worked on the request, and said so',
    own: null,
    retry: 'unsent',
  },
  malformed: {
    outcome: RESET,
    flag: F.upstreamProtocol,
    status: 502,
    cause: 'upstream-protocol',
    detail: 'the answer of the instance is malformed',
    own: null,
    retry: 'repeatable',
  },
  tryTimeout: {
    outcome: TIMEOUT,
    flag: F.timeout,
    status: 504,
    cause: 'upstream-timeout',
    detail: 'the instance did not answer in time',
    own: null,
    retry: 'repeatable',
  },
  routeTimeout: {
    outcome: TIMEOUT,
    flag: F.routeTimeout,
    status: 504,
    cause: 'upstream-timeout',
    detail: 'the instance did not answer in time',
    own: null,
    retry: 'repeatable',
  },

  // What follows is not the version's doing.
  /** The instance's answer is well-formed and larger than the gateway takes: another instance of the version sends the same. */
  answerLimit: {
    outcome: OWN,
    flag: F.gatewayLimit,
    status: 502,
    cause: 'answer-limit',
    detail: 'the answer of the instance is larger than the gateway takes',
    own: 'answerLimit',
    retry: 'never',
  },
  /** Nobody can say whether the request was read before the connection closed, and it must not be sent twice. */
  connectionClosed: {
    outcome: OWN,
    flag: F.connectionClosed,
    status: 502,
    cause: 'connection-closed',
    detail: 'a kept connection to the instance closed as the request was sent, and the request must not be repeated',
    own: 'connectionClosed',
    retry: 'never',
  },
  /** Descriptors, ports or memory: the next connection cannot be had either. */
  exhausted: {
    outcome: OWN,
    flag: F.overload,
    status: 503,
    cause: 'exhausted',
    detail: 'the gateway has no descriptor, port or memory left for a connection to the instance',
    extra: 'Retry-After: 1\r\n',
    own: 'exhausted',
    retry: 'never',
  },
  /** Nothing moved for `limits.answerIdleMs`. */
  silence: {
    outcome: OWN,
    flag: F.streamIdle,
    status: 504,
    cause: 'stream-idle',
    detail: 'nothing has moved for as long as the gateway keeps a silent stream',
    own: 'streamIdle',
    retry: 'never',
  },
  /** The version was rolled back or replaced, and the request has outlived what the route grants it then. */
  withdrawn: {
    outcome: OWN,
    flag: F.withdrawn,
    status: 503,
    cause: 'withdrawn',
    detail: 'the version that had the request gets no more traffic, and its time to finish is over',
    own: 'withdrawn',
    retry: 'never',
  },
  /** The process that had the request ends, and its time to finish is over. */
  leaving: {
    outcome: OWN,
    flag: F.withdrawn,
    status: 503,
    cause: 'draining',
    detail: 'the gateway process that had the request ends, and its time to finish is over',
    extra: 'Retry-After: 1\r\n',
    own: 'withdrawn',
    retry: 'never',
  },
  /** The client set it, and waited in vain: as if it had left. */
  deadline: {
    outcome: ABORTED,
    flag: F.callDeadline,
    status: 504,
    cause: 'deadline',
    detail: 'the deadline that the call brought with it has passed',
    own: 'deadline',
    retry: 'never',
  },
  /** The client stopped reading its answer. */
  clientSlow: {
    outcome: ABORTED,
    flag: F.clientLeft,
    status: 0,
    cause: 'bad-request',
    detail: 'the client reads no more',
    own: null,
    retry: 'never',
  },
} as const satisfies Record<string, Failure>;

/** Answers without a try, or instead of one that goes on. */
export const replies = {
  noUpstream: { status: 503, cause: 'no-upstream', flag: F.noHealthyUpstream, own: 'noUpstream' },
  overCap: {
    status: 503,
    cause: 'breaker',
    flag: F.overflow,
    detail: 'too many connections to the instance, or waiting for one',
    own: 'breaker',
  },
  slowUpload: { status: 408, cause: 'bad-request', flag: F.clientProtocol },
} as const satisfies Record<string, OwnReply & { detail?: string; own?: keyof OwnAnswers }>;

/** The gateway's process, or its machine, has run out of something; the instance was not asked. */
const SHORTAGES = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']);

export function isShortage(code: string | undefined): boolean {
  return code !== undefined && SHORTAGES.has(code);
}

/** Why a connection could not be had. `code`: the system's, as Node.js names it. */
export function connectFailure(code: string | undefined): Failure {
  if (isShortage(code)) return failures.exhausted;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return failures.unknownName;
  return failures.refused;
}
