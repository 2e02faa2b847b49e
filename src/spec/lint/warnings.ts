/** The stable part of a warning, as `ErrorKind` is of an error. docs/spec.md lists them all. */
interface WarningKind {
  code: string;
  means: string;
  next: string;
}

type Definition = Omit<WarningKind, 'code'>;

function defineWarnings<const Names extends string>(kinds: Record<Names, Definition>): Record<Names, WarningKind> {
  const entries = Object.entries<Definition>(kinds);
  return Object.fromEntries(entries.map(([name, kind]) => [name, { code: `spec/${name}`, ...kind }])) as Record<
    Names,
    WarningKind
  >;
}

/** What `davy check` says about a spec that works, but not as its numbers promise. */
export const specWarnings = defineWarnings({
  'drain-long': {
    means: 'After a rollback, streams and WebSockets may stay on the version for longer than ten minutes.',
    next: 'Shorten `drain`, unless the streams are worth more than a quick end.',
  },
  'step-without-limit': {
    means: 'A step declares no limit, so the `sustained` rule has nothing to watch while it lasts.',
    next: 'Give the step `limits`, at least for errors.',
  },
  'limit-loosens': {
    means: 'A limit is wider than the same limit one step before, although more traffic is at stake.',
    next: 'Tighten it, or keep the limit of the step before.',
  },
  'sustained-too-long': {
    means: 'A limit has to be broken for longer than its step lasts before it rolls back.',
    next: 'Shorten `sustained` or lengthen `hold`.',
  },
  'no-data-hold': {
    means:
      'The time without measurements before something happens is shorter than two looks or longer than a whole step.',
    next: 'Choose `noData.hold` from two looks to the shortest `hold`.',
  },
  'inconclusive-hold': {
    means: 'The extra time for a step to prove its claim is so short that it cannot matter.',
    next: 'Choose an `inconclusive.hold` of several looks.',
  },
  'instant-above-traffic': {
    means: 'The instant rule needs more canary requests in its window than are expected to arrive, so it cannot fire.',
    next: 'Lower `minRequests`, lengthen `over`, or start at a larger weight.',
  },
  'instant-below-limit': {
    means: 'The instant rule fires at a lower failure rate than a limit of the same policy allows.',
    next: 'Raise `instant.errors` above every `limits.errors`.',
  },
  'sample-too-small': {
    means: 'At the expected rate a step sees too few canary requests to prove its `promote` margin within its `hold`.',
    next: 'Lengthen the hold, raise the weight, or widen the margin.',
  },
  'margin-needs-errors': {
    means: 'The error margin is a multiple only, and a multiple of no errors is no margin.',
    next: 'Give `promote.errors.plus` a value above 0pp: the harm that you would not notice.',
  },
  'limit-unprovable': {
    means:
      'At the expected rate a step sees too few canary requests to show that a limit is kept, even if all of them are good.',
    next: 'Lengthen the hold, raise the weight, or widen the limit.',
  },
  'objective-unprovable': {
    means: 'At the expected rate an objective counts too few requests in its window to be told from a miss.',
    next: 'Lengthen the window or lower the target.',
  },
  'ejection-impossible': {
    means: 'A version has one instance, and ejection always leaves one: it can never act.',
    next: 'Run two or more replicas, or set `ejection: none` for this service.',
  },
  'sticky-cookie-shared': {
    means:
      'Services keep the places of sticky clients in cookies of one name. Cookies know no ports, so on one host each service overwrites what the other one has set, and clients change versions.',
    next: 'Leave `cookie` out, or give each service a name of its own; ignore it when clients reach the services under different host names.',
  },
  'target-below-rollback': {
    means: 'One bad release costs more of the error budget than the target leaves, before the policy rolls it back.',
    next: 'Shorten `sustained` and `instant.over`, lower the target, or lengthen the window.',
  },
  'tries-exceed-timeout': {
    means: 'The tries together may take longer than the request is allowed to.',
    next: 'Raise `timeout`, or lower `perTry` or `maxTries`.',
  },
  'health-too-slow': {
    means: 'A starting instance cannot be found healthy within `startWithin`.',
    next: 'Check more often or lengthen `startWithin`.',
  },
  'health-path-of-grpc': {
    means: 'A service that serves gRPC is asked for a path, which few gRPC servers have.',
    next: "Remove the path, or name a service to ask for: `health: { grpc: '' }`.",
  },
  'mirror-of-grpc': {
    means: 'A service that serves gRPC has a mirror, and gRPC calls are POST requests, which are never copied.',
    next: 'Remove `mirror`.',
  },
  'unused-policy': {
    means: 'No service is released by this policy.',
    next: 'Remove it or name it under `release`.',
  },
  'chaos-beyond-limits': {
    means: 'An experiment hits more than `chaos.limits` allow even when every instance is ready, so it never runs.',
    next: 'Narrow its scope (`instances`, `share`), or raise the limit.',
  },
  'chaos-pause-outlasts': {
    means: 'A process that answers nothing is started anew before the pause is over, so the run is INVALID.',
    next: 'Pause for less than `health.startWithin`, or lengthen that.',
  },
});
