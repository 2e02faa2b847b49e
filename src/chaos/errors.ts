import { defineErrors } from '../lib/error.ts';

export const chaosErrors = defineErrors('chaos', {
  'unknown-experiment': {
    means: 'The spec declares no experiment of this name.',
    next: 'Run `davy chaos list` for the declared ones.',
    exit: 2,
    http: 404,
  },
  'unknown-run': {
    means: 'No chaos run of this name stands in the ledger.',
    next: 'Run `davy chaos history` for the names of the runs.',
    exit: 2,
    http: 404,
  },
  'unknown-target': {
    means: 'The experiment names a service or a version that the spec does not declare.',
    next: 'Use the names that `davy status` lists.',
    exit: 2,
    http: 422,
  },
  'blast-radius': {
    means: 'The experiment would hit more than `chaos.limits` allow.',
    next: 'Narrow its scope, or raise the limit that the sentence names.',
    exit: 5,
    http: 409,
  },
  'no-target': {
    means: 'Nothing that is ready now is in the scope of the experiment.',
    next: 'See `davy status`; the scope names a version, zone or number of instances that is not there.',
    exit: 2,
    http: 409,
  },
  'not-ours': {
    means: 'The fault needs a process that Davy started, and the instance runs elsewhere.',
    next: 'Use a fault of the traffic (delay, abort, blackhole), or let Davy run the version with `run:`.',
    exit: 2,
    http: 409,
  },
  'run-in-progress': {
    means: 'Another chaos run hits the same service.',
    next: 'Wait for its end, or stop it with `davy chaos stop`.',
    exit: 5,
    http: 409,
  },
  'release-in-progress': {
    means: 'A release is in flight, and the experiment does not say `duringRelease`.',
    next: 'Wait for the end of the release, or set `duringRelease: true` if that is what is to be learnt.',
    exit: 5,
    http: 409,
  },
  frozen: {
    means: 'No experiment starts in a freeze window.',
    next: 'Wait for its end, or change `chaos.freeze`.',
    exit: 5,
    http: 409,
  },
  dirty: {
    means: 'A fault could not be shown to be gone; chaos and promotions wait for a person.',
    next: 'Look at the service, then `davy chaos clear RUN --reason …`.',
    exit: 5,
    http: 409,
  },
  'not-dirty': {
    means: 'Only a run that is DIRTY can be cleared.',
    next: 'Run `davy chaos list` to see which one is.',
    exit: 2,
    http: 409,
  },
});
