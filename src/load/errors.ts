import { defineErrors } from '../lib/error.ts';

export const loadErrors = defineErrors('load', {
  'bad-plan': {
    means: 'The description of a load run is not usable.',
    next: 'Correct the field that the message names; `davy load run --help` shows the limits.',
    exit: 2,
    http: 422,
  },
  'generator-died': {
    means: 'The load generator ended without a result.',
    next: 'Read the output above it; run again with a lower rate if the machine was out of memory.',
    exit: 1,
    http: 500,
  },
});
