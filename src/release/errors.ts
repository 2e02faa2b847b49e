import { defineErrors } from '../lib/error.ts';

export const releaseErrors = defineErrors('release', {
  'unknown-service': {
    means: 'The spec declares no service of this name.',
    next: 'Use a service that `davy status` lists.',
    exit: 2,
    http: 404,
  },
  'unknown-version': {
    means: 'The service declares no version of this name.',
    next: 'Use a version that the spec declares under `versions`.',
    exit: 2,
    http: 404,
  },
  blocked: {
    means: 'Something else must be settled before a weight may be raised.',
    next: 'The sentence names it; lowering a weight and rolling back are never blocked.',
    exit: 5,
    http: 409,
  },
  'unknown-release': {
    means: 'No release of this name stands in the ledger.',
    next: 'Run `davy status` for the names of the releases.',
    exit: 2,
    http: 404,
  },
  'already-stable': {
    means: 'The version asked for is the stable one already.',
    next: 'Nothing to do; release another version.',
    exit: 2,
    http: 409,
  },
  'already-in-flight': {
    means: 'The same version of the service is being released now.',
    next: 'Watch it with `davy status -w`.',
    exit: 2,
    http: 409,
  },
  'in-flight-by-another': {
    means: "Another operator's release of this service is in flight.",
    next: 'Talk to them, or replace it knowingly with --supersede.',
    exit: 5,
    http: 409,
  },
  'stale-precondition': {
    means: 'The release changed since the caller looked (If-Match does not match).',
    next: 'Read the release again and decide anew.',
    exit: 2,
    http: 412,
  },
  finished: {
    means: 'The release has ended; the action needs one that is in flight.',
    next: 'Start a new one with `davy release`.',
    exit: 2,
    http: 409,
  },
  'not-paused': {
    means: 'Resume was asked for a release that nobody paused.',
    next: 'Run `davy explain RELEASE` for what it waits for.',
    exit: 2,
    http: 409,
  },
  'already-paused': {
    means: 'The release is paused already.',
    next: 'Resume it with `davy resume RELEASE`.',
    exit: 2,
    http: 409,
  },
  superseded: {
    means: 'A later release of the service decided what is stable; this one cannot be rolled back any more.',
    next: 'Release the version you want with `davy release`.',
    exit: 2,
    http: 409,
  },
  'not-ready': {
    means: 'The canary has no ready instance, so its weight cannot be raised.',
    next: 'Look at `davy status` for the instance and its problem.',
    exit: 2,
    http: 409,
  },
  'reason-too-long': {
    means: 'A reason has more than 500 characters; it is written to the ledger for good.',
    next: 'Say it shorter, and attach the rest with `davy evidence add`.',
    exit: 2,
    http: 400,
  },
  'stable-not-in-spec': {
    means: 'The ledger says that a version is stable which the spec no longer declares.',
    next: 'Put the version back into the spec, or start with another --data folder.',
    exit: 2,
    http: 500,
  },
  'not-held': {
    means: 'Nothing is held: this ledger is not known to have lost records, so there is no loss to accept.',
    next: 'Run `davy status` for what the releases wait for.',
    exit: 2,
    http: 409,
  },
  'loss-not-accepted': {
    means: 'Going on where records of the ledger are lost needs an explicit word.',
    next: 'Look for the lost records first; then run `davy continue --accept-loss --reason "why"`.',
    exit: 5,
    http: 409,
  },
  outranked: {
    means: 'The data plane has seen a controller with a higher term, so it takes nothing from this one any more.',
    next: 'Nothing to do: the controller ends, and the next one takes a term above.',
    exit: 1,
    http: 503,
  },
  'ledger-unwritable': {
    means: 'The ledger cannot be written, so nothing may raise a weight; lowering still works and is recorded late.',
    next: 'Free disk space or repair the volume; Davy continues by itself.',
    exit: 1,
    http: 503,
  },
});
