import { defineErrors } from '../lib/error.ts';

const invalid = { exit: 2, http: 422 } as const;

/** Everything that keeps a spec from being used. */
export const specErrors = defineErrors('spec', {
  unreadable: {
    means: 'The spec file cannot be read.',
    next: 'Check the path and the permissions of the file.',
    exit: 2,
    http: 404,
  },
  'too-large': {
    means: 'The spec is larger than Davy reads.',
    next: 'Keep the spec under the size in the message; generated data does not belong in it.',
    exit: 2,
    http: 413,
  },
  'not-utf8': { means: 'The spec is not UTF-8 text.', next: 'Save the file as UTF-8.', ...invalid },
  'control-character': {
    means: 'The spec contains a character that YAML does not allow.',
    next: 'Remove the character; in a quoted text write it as an escape such as "\\x07".',
    ...invalid,
  },
  'yaml-syntax': {
    means: 'The spec is not valid YAML 1.2.',
    next: 'Correct the line; indentation is spaces only and a colon is followed by a space.',
    ...invalid,
  },
  'too-deep': {
    means: 'The spec is nested deeper than any spec needs.',
    next: 'Remove the nesting; the deepest field of a spec stands at level 7.',
    ...invalid,
  },
  'too-many-nodes': {
    means: 'The spec holds more values than Davy reads, counted after its aliases are resolved.',
    next: 'Write fewer values or fewer aliases (`*name`); defaults can stand under `defaults:` once.',
    ...invalid,
  },
  'bad-alias': {
    means: 'An alias (`*name`) refers to no anchor before it, or to a value that contains it.',
    next: 'Declare the anchor (`&name`) above its first use, outside of itself.',
    ...invalid,
  },
  'unsupported-yaml': {
    means: 'The spec uses a part of YAML that Davy does not read: tags, directives, merge keys, several documents.',
    next: 'Write plain maps, lists and texts in one document.',
    ...invalid,
  },
  'duplicate-key': {
    means: 'A field stands twice in the same map.',
    next: 'Remove one of the two.',
    ...invalid,
  },
  'forbidden-key': {
    means: 'A key has a name that JavaScript objects reserve.',
    next: 'Choose another name.',
    ...invalid,
  },
  'bad-key': {
    means: 'A key is not text.',
    next: 'Put the key in quotes.',
    ...invalid,
  },
  'no-value': {
    means: 'A field stands there without a value.',
    next: 'Give it a value or remove the field.',
    ...invalid,
  },
  'unknown-field': {
    means: 'The spec has no field of this name here.',
    next: 'Use one of the known names; docs/spec.md lists them.',
    ...invalid,
  },
  'missing-field': {
    means: 'A required field is missing.',
    next: 'Add the field; docs/spec.md shows an example.',
    ...invalid,
  },
  'wrong-type': {
    means: 'A field holds another kind of value than it takes.',
    next: 'Write it as in the example.',
    ...invalid,
  },
  'wrong-unit': {
    means: 'A quantity has no unit or one that the field does not take.',
    next: 'Durations are written 250ms, 30s, 5m, 24h, 30d; shares 10%; differences of shares 0.1pp; rates 1000/s.',
    ...invalid,
  },
  'out-of-range': {
    means: 'A value is outside the range that the field takes.',
    next: 'Choose a value inside the range.',
    ...invalid,
  },
  'bad-value': {
    means: 'A value is none of those that the field takes.',
    next: 'Choose one of the values in the message.',
    ...invalid,
  },
  'bad-name': {
    means: 'A name uses characters, a length or a form that names do not have.',
    next: 'Rename it as the message says.',
    ...invalid,
  },
  'run-syntax': {
    means: 'A `run` line cannot be split into a program and its arguments.',
    next: 'Close every quote and name a program.',
    ...invalid,
  },
  'run-shell': {
    means: 'A `run` line uses a shell feature, and Davy runs programs without a shell.',
    next: "Put the characters in single quotes, use `env:` for variables, or ask for a shell by name: run: sh -c '…'.",
    ...invalid,
  },
  'schedule-syntax': {
    means: 'A `schedule` is no cron line, or one that never comes due.',
    next: 'Write five fields in UTC, minute hour day month weekday: schedule: "0 */4 * * *". Or use `every: 4h`.',
    ...invalid,
  },
  'version-source': {
    means: 'A version must say either how it is run or where it runs already, and only what belongs to that.',
    next: 'Give `run` (with `env`, `replicas`) or `endpoints`, not both.',
    ...invalid,
  },
  'objective-kind': {
    means: 'An objective is either availability (`target`) or latency (`share` and `under`).',
    next: 'Give `target`, or `share` and `under`.',
    ...invalid,
  },
  'health-kind': {
    means: 'An instance is asked for its health in one way: by a path, by gRPC or by a TCP connection.',
    next: 'Keep one of `path`, `grpc` and `tcp`.',
    ...invalid,
  },
  'health-protocol': {
    means: 'The health check speaks another protocol than the instances.',
    next: 'Set `traffic.protocol: grpc`, or check a `path` or `tcp`.',
    ...invalid,
  },
  'unknown-service': {
    means: 'The spec declares no service of this name.',
    next: 'Name one of the services under `services:`.',
    ...invalid,
  },
  'unknown-version': {
    means: 'The service declares no version of this name.',
    next: 'Name one of the declared versions.',
    ...invalid,
  },
  'unknown-policy': {
    means: 'The spec declares no release policy of this name.',
    next: 'Name one of the policies under `policies:`.',
    ...invalid,
  },
  'port-conflict': {
    means: 'Two services listen on the same port.',
    next: 'Give each service its own `listen` port.',
    ...invalid,
  },
  'duplicate-name': {
    means: 'Two entries of a list have the same name or address.',
    next: 'Make them differ.',
    ...invalid,
  },
  'endpoint-conflict': {
    means:
      'An endpoint cannot belong to this version: another version has it too, or it is a port of the gateway itself.',
    next: 'Give each version its own instances, and none that lead back into the gateway.',
    ...invalid,
  },
  'header-reserved': {
    means: 'A header that HTTP or the gateway itself uses cannot select the canary.',
    next: 'Choose a name of your own, such as x-canary.',
    ...invalid,
  },
  'weights-not-rising': {
    means: 'The weights of a policy do not rise from step to step.',
    next: 'Order the steps by weight, each larger than the one before.',
    ...invalid,
  },
  'last-weight': {
    means: 'The last step of a policy is not 100 %.',
    next: 'End with `weight: 100%` (`holdBack` is taken off it): only a release that carries all traffic is complete.',
    ...invalid,
  },
  'no-margin': {
    means: 'A promotion tolerates no difference at all, so nothing can ever be proven.',
    next: 'Give `plus` a value above 0pp or `ratio` one above 1: the harm that you would not notice.',
    ...invalid,
  },
  'look-too-long': {
    means: 'A policy looks less often than one of its own rules needs.',
    next: 'Shorten `look`, or lengthen the time in the message.',
    ...invalid,
  },
});
