/** Objects that an exchange fills, hands over and has read within one call: kept, so that a request allocates none of them. */
import type { ForwardContext } from '../http1/forward.ts';
import type { AdmissionContext } from './admission.ts';
import type { AnswerContext } from './answer-relay.ts';

const NO_BYTES = Buffer.alloc(0);

export const forwardContext: ForwardContext = {
  forwarded: NO_BYTES,
  element: NO_BYTES,
  trusted: false,
  fallbackHost: NO_BYTES,
  webSocket: false,
  byLength: false,
};

export const admission: AdmissionContext = { grpc: false, close: false };

export const answerContext: AnswerContext = {
  headOnly: false,
  minor: 1,
  isStream: false,
  needsTrailers: false,
  close: false,
  extra: null,
};
