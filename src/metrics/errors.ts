import { defineErrors } from '../lib/error.ts';

export const metricsErrors = defineErrors('metrics', {
  silenced: {
    means: 'The reading was kept back on purpose: a rehearsal tries what happens without metrics.',
    next: 'Nothing; the silence ends by itself after at most 30 s, and the releases hold until then.',
    exit: 4,
    http: 503,
  },
  'already-silent': {
    means: 'A silence is in force already, and it cannot be made longer.',
    next: 'Wait for its end, at most 30 s.',
    exit: 5,
    http: 409,
  },
  'silence-refused': {
    means: 'Nothing is rehearsed now, so the metrics are not kept back either.',
    next: 'The sentence names what must be settled first.',
    exit: 5,
    http: 409,
  },
});
