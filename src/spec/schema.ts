import { z } from 'zod';
import { splitCommand } from './argv.ts';
import { specDefaults as d } from './defaults.ts';
import { duration, field, integer, named, orNone, points, rate, ratio, refuse, share, text } from './fields.ts';

/** `davy.yaml` as it is written: units are text, defaults are absent. Everything about a field stands here and nowhere else. */

const labelPattern = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
const labelRule = 'be a label: a-z, 0-9 and -, starting with a letter, at most 63 characters';
const versionPattern = /^[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;
const versionRule =
  'be a version name: letters, digits, dots, - and _, at most 63 characters, starting and ending with a letter or digit';

const label = (description: string, example: string) =>
  named({ description, example, pattern: labelPattern, rule: labelRule });
const versionName = (description: string, example: string) =>
  named({ description, example, pattern: versionPattern, rule: versionRule });

const runLine = text({
  description:
    'The program and its arguments. It runs without a shell, in the folder of the spec, once per replica, with PORT set to the port it must listen on. Quotes work as in a shell; nothing is expanded.',
  example: 'node service.mjs',
  max: 4096,
}).check((context) => {
  const split = splitCommand(context.value);
  if (!('problem' in split)) return;
  const { index, shell, sentence } = split.problem;
  refuse(context, { kind: shell ? 'run-shell' : 'run-syntax', index }, sentence);
});

const endpoint = field(
  z
    .string()
    .max(300)
    .check((context) => {
      const url = URL.parse(context.value);
      const plain =
        url !== null &&
        url.protocol === 'http:' &&
        url.pathname === '/' &&
        !url.search &&
        !url.hash &&
        !url.username &&
        !url.password;
      if (!plain || !/^http:\/\/[^/?#@]+\/?$/.test(context.value)) {
        refuse(context, { kind: 'bad-value' }, 'must be http://host:port without a path, a query or a user');
      }
    }),
  { description: 'Base URL of one running instance.', example: 'http://127.0.0.1:9101' },
);

const version = z
  .strictObject({
    run: runLine.optional(),
    env: field(
      z.record(
        named({
          description: 'Name of an environment variable.',
          example: 'FAULT_RATE',
          pattern: /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
          rule: 'be the name of an environment variable: letters, digits and _, not starting with a digit',
        }),
        z.union([z.string().max(32_768), z.number(), z.boolean()]),
      ),
      {
        description: 'Environment of the program, beside PORT. Numbers and booleans are passed on as they are written.',
        example: { VERSION: 'v1' },
        default: {},
      },
    ).optional(),
    replicas: integer({
      description: 'How many instances Davy starts of this version.',
      example: 3,
      default: d.version.replicas,
      min: 1,
      max: 100,
    }).optional(),
    endpoints: field(z.array(endpoint).min(1).max(100), {
      description: 'Instances that run already; Davy reaches them and starts nothing.',
      example: ['http://127.0.0.1:9101'],
    }).optional(),
    zone: text({
      description: 'The zone in which all instances of this version run.',
      example: 'eu-west-1a',
      max: 63,
    }).optional(),
  })
  .check((context) => {
    const { run, endpoints, env, replicas } = context.value;
    if (run === undefined && endpoints === undefined)
      refuse(context, { kind: 'version-source' }, 'needs run or endpoints');
    if (run !== undefined && endpoints !== undefined)
      refuse(context, { kind: 'version-source' }, 'has both run and endpoints', ['endpoints']);
    if (run !== undefined || endpoints === undefined) return;
    if (env !== undefined) refuse(context, { kind: 'version-source' }, 'belongs to run, not to endpoints', ['env']);
    if (replicas !== undefined)
      refuse(context, { kind: 'version-source' }, 'belongs to run, not to endpoints', ['replicas']);
  });

const health = z.strictObject({
  path: named({
    description: 'Path that answers 2xx when the instance is able to serve.',
    example: '/q/health',
    default: d.health.path,
    pattern: /^\/[\x21-\x7e]{0,255}$/,
    rule: 'start with / and contain neither blanks nor control characters, at most 256 characters',
  }).optional(),
  every: duration({
    description: 'Time between two checks.',
    example: '2s',
    default: d.health.every,
    min: '100ms',
    max: '1h',
  }).optional(),
  timeout: duration({
    description: 'A check without an answer for this long has failed.',
    example: '1s',
    default: d.health.timeout,
    min: '10ms',
    max: '1m',
  }).optional(),
  unhealthyAfter: integer({
    description: 'Failed checks in a row after which a ready instance gets no traffic.',
    example: 3,
    default: d.health.unhealthyAfter,
    min: 1,
    max: 100,
  }).optional(),
  healthyAfter: integer({
    description: 'Passed checks in a row after which an instance gets traffic.',
    example: 1,
    default: d.health.healthyAfter,
    min: 1,
    max: 100,
  }).optional(),
  startWithin: duration({
    description:
      'A version whose instances are not ready within this time fails its release; stable keeps all traffic.',
    example: '60s',
    default: d.health.startWithin,
    min: '1s',
    max: '1h',
  }).optional(),
});

const retries = z.strictObject({
  maxTries: integer({
    description: 'Tries in all, the first included. Only requests that are safe to repeat are tried again.',
    example: 3,
    default: d.retries.maxTries,
    min: 1,
    max: 10,
  }).optional(),
  perTry: duration({
    description: 'Time for one try, up to the head of the response.',
    example: '2s',
    default: d.retries.perTry,
    min: '1ms',
    max: '1h',
  }).optional(),
  budget: share({
    description: 'Retries in flight may be at most this share of the requests in flight (never fewer than 3 at once).',
    example: '20%',
    default: d.retries.budget,
    min: '0%',
    max: '100%',
  }).optional(),
});

const ejection = z.strictObject({
  consecutive5xx: integer({
    description: 'Failures in a row (5xx, time-outs, resets) after which an instance gets no traffic for a while.',
    example: 5,
    default: d.ejection.consecutive5xx,
    min: 1,
    max: 1000,
  }).optional(),
  for: duration({
    description: 'How long the first ejection lasts; the n-th lasts n times as long.',
    example: '30s',
    default: d.ejection.for,
    min: '100ms',
    max: '1h',
  }).optional(),
});

const rateLimit = z.strictObject({
  rate: rate({
    description: 'Requests admitted in the long run; the rest is answered with 429.',
    example: '1000/s',
    min: '0.01/s',
    max: '1000000/s',
  }),
  burst: integer({
    description: 'Requests admitted at once after a quiet time.',
    example: 200,
    min: 1,
    max: 10_000_000,
  }),
});

const traffic = z.strictObject({
  timeout: duration({
    description: 'Time for the whole request, all tries and pauses included.',
    example: '7s',
    default: d.traffic.timeout,
    min: '10ms',
    max: '1h',
  }).optional(),
  retries: orNone(retries, {
    description: 'Repeats requests that failed and are safe to repeat.',
    example: { maxTries: 3, perTry: '2s', budget: '20%' },
    default: d.traffic.retries,
  }).optional(),
  ejection: orNone(ejection, {
    description: 'Takes an instance out of the rotation while it fails. Never the last one of its version.',
    example: { consecutive5xx: 5, for: '30s' },
    default: d.traffic.ejection,
  }).optional(),
  canaryHeader: named({
    description: 'A request with this header set to `true` reaches the canary at any weight. `none`: no such header.',
    example: 'x-canary',
    default: d.traffic.canaryHeader,
    pattern: /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/,
    rule: 'be the name of an HTTP header (RFC 9110 section 5.1), at most 64 characters',
  }).optional(),
  rateLimit: orNone(rateLimit, {
    description: 'Limits the requests that the gateway lets through to this service.',
    example: { rate: '1000/s', burst: 200 },
    default: d.traffic.rateLimit,
  }).optional(),
});

const objective = z
  .strictObject({
    name: label('Name of the objective, unique in its service.', 'availability'),
    target: share({
      description: 'Availability: at least this share of requests succeeds.',
      example: '99.9%',
      min: '1%',
      max: '99.999999%',
    }).optional(),
    share: share({
      description: 'Latency: at least this share of requests is answered within `under`.',
      example: '95%',
      min: '1%',
      max: '99.999999%',
    }).optional(),
    under: duration({
      description: 'Latency: the bound that goes with `share`.',
      example: '200ms',
      min: '1ms',
      max: '1h',
    }).optional(),
    window: duration({
      description: 'The rolling time over which the objective is counted.',
      example: '30d',
      default: d.objective.window,
      min: '1h',
      max: '365d',
    }).optional(),
  })
  .check((context) => {
    const { target, share: latencyShare, under } = context.value;
    if (target !== undefined && (latencyShare !== undefined || under !== undefined)) {
      refuse(
        context,
        { kind: 'objective-kind' },
        'has target and share or under; it is either availability or latency',
      );
    } else if (target === undefined && (latencyShare === undefined || under === undefined)) {
      refuse(context, { kind: 'objective-kind' }, 'needs target (availability), or share and under (latency)');
    }
  });

const expect = z.strictObject({
  rate: rate({
    description: 'Requests that usually arrive. Only `davy check` reads it: can a step prove its claim with so few?',
    example: '300/s',
    min: '0.0001/s',
    max: '10000000/s',
  }),
});

const service = z.strictObject({
  listen: integer({
    description: "The gateway's port for this service on 127.0.0.1. Callers go through it, other services included.",
    example: 8082,
    min: 1,
    max: 65_535,
  }),
  stable: versionName('The version that carries all traffic when nothing is being released, at the first start.', 'v1'),
  versions: field(z.record(versionName('Name of a version.', 'v1'), version), {
    description:
      'The versions that can be released, by name. Each is run by Davy (`run`) or runs already (`endpoints`).',
    example: { v1: { run: 'node service.mjs', replicas: 3 } },
  }),
  health: field(health, {
    description: 'How Davy sees that an instance is able to serve.',
    example: { path: '/q/health', every: '2s' },
  }).optional(),
  traffic: field(traffic, {
    description: 'What the gateway does with requests to this service. Fields left out come from `defaults`.',
    example: { timeout: '7s', canaryHeader: 'x-canary' },
  }).optional(),
  release: label('The policy under `policies` by which new versions are released.', 'standard'),
  objectives: field(z.array(objective).max(20), {
    description: 'What users may expect of the service.',
    example: [{ name: 'availability', target: '99.9%', window: '30d' }],
    default: [],
  }).optional(),
  expect: field(expect, {
    description: 'What Davy may assume when it checks the arithmetic of this spec.',
    example: { rate: '300/s' },
  }).optional(),
});

const latencyLimit = (quantile: string) =>
  duration({
    description: `The ${quantile} quantile of the latency must stay under this.`,
    example: '300ms',
    min: '1ms',
    max: '1h',
  }).optional();

/** Quantiles that a limit can name, and the share of requests that may be slower. */
export const limitQuantiles = { p50: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99, 'p99.9': 0.999 } as const;

const limits = z.strictObject({
  errors: share({
    description: 'The share of failed requests must stay at or under this.',
    example: '1%',
    min: '0.0001%',
    max: '100%',
  }).optional(),
  p50: latencyLimit('50 %'),
  p75: latencyLimit('75 %'),
  p90: latencyLimit('90 %'),
  p95: latencyLimit('95 %'),
  p99: latencyLimit('99 %'),
  'p99.9': latencyLimit('99.9 %'),
});

const step = z.strictObject({
  weight: share({
    description: 'Share of the traffic that the new version gets, in steps of 0.01 %.',
    example: '10%',
    min: '0.01%',
    max: '100%',
  }).check((context) => {
    if (!/^\d+(\.\d{1,2}0*)?%$/.test(context.value) && context.issues.length === 0) {
      refuse(context, { kind: 'out-of-range' }, 'must be a multiple of 0.01%');
    }
  }),
  hold: duration({
    description: 'Observed time at this weight before the next step; time without data does not count.',
    example: '4h',
    min: '1s',
    max: '30d',
  }),
  limits: field(limits, {
    description: 'Limits in force during this step; one broken for `sustained` rolls back.',
    example: { errors: '0.5%', p95: '300ms' },
    default: {},
  }).optional(),
});

const instant = z.strictObject({
  errors: share({
    description: 'A share of failed canary requests above this …',
    example: '5%',
    default: d.instant.errors,
    min: '0.1%',
    max: '100%',
  }).optional(),
  over: duration({
    description: '… over this time …',
    example: '30s',
    default: d.instant.over,
    min: '100ms',
    max: '1h',
  }).optional(),
  minRequests: integer({
    description: '… with at least so many canary requests in it.',
    example: 50,
    default: d.instant.minRequests,
    min: 1,
    max: 1_000_000,
  }).optional(),
});

const marginRatio = (value: number) =>
  ratio({
    description: "Tolerated multiple of stable's rate.",
    example: value,
    default: value,
    min: 1,
    max: 100,
  }).optional();
const marginPoints = (value: string) =>
  points({
    description: "Tolerated difference to stable's rate, in percentage points, on top of `ratio`.",
    example: value,
    default: value,
    min: '0pp',
    max: '50pp',
  }).optional();

const compare = z.strictObject({
  falseRollback: share({
    description:
      'Probability that a release without harm is rolled back by the statistics, over the whole release and however often Davy looks.',
    example: '1%',
    default: d.compare.falseRollback,
    min: '0.001%',
    max: '50%',
  }).optional(),
  errors: field(
    z.strictObject({ ratio: marginRatio(d.compare.errors.ratio), plus: marginPoints(d.compare.errors.plus) }),
    {
      description: "Harm is a failure rate above stable's × `ratio` + `plus`.",
      example: d.compare.errors,
    },
  ).optional(),
  latency: field(z.strictObject({ ratio: marginRatio(d.compare.latency.ratio) }), {
    description: "Harm is a share of slow requests above stable's × `ratio`, at any bound.",
    example: d.compare.latency,
  }).optional(),
});

const promote = z.strictObject({
  confidence: share({
    description: 'Certainty with which harm of the margin or more is excluded before a step is passed.',
    example: '99%',
    default: d.promote.confidence,
    min: '50%',
    max: '99.9999%',
  }).optional(),
  errors: field(
    z.strictObject({ ratio: marginRatio(d.promote.errors.ratio), plus: marginPoints(d.promote.errors.plus) }),
    {
      description: "The failure rate must be proven under stable's × `ratio` + `plus`.",
      example: d.promote.errors,
    },
  ).optional(),
  latency: field(
    z.strictObject({ ratio: marginRatio(d.promote.latency.ratio), plus: marginPoints(d.promote.latency.plus) }),
    {
      description: "The share of slow requests must be proven under stable's × `ratio` + `plus`.",
      example: d.promote.latency,
    },
  ).optional(),
});

const patience = (about: { hold: string; holdSays: string; then: string; thenSays: string }) =>
  z.strictObject({
    hold: duration({
      description: about.holdSays,
      example: about.hold,
      default: about.hold,
      min: '1s',
      max: '30d',
    }).optional(),
    // biome-ignore lint/suspicious/noThenProperty: the name of the field in davy.yaml; its value is text
    then: field(z.enum(['rollback', 'hold']), {
      description: about.thenSays,
      example: about.then,
      default: about.then,
    }).optional(),
  });

const policy = z.strictObject({
  look: duration({
    description: 'How often harm is looked for.',
    example: '1s',
    default: d.policy.look,
    min: '100ms',
    max: '5m',
  }).optional(),
  steps: field(z.array(step).min(1).max(20), {
    description: 'The weights of a release in rising order, up to 100 %; the last one is the watch after promotion.',
    example: [{ weight: '10%', hold: '24h', limits: { errors: '1%', p95: '500ms' } }],
  }),
  sustained: duration({
    description: 'A limit broken this long without a break rolls back, whatever the statistics say.',
    example: '5m',
    default: d.policy.sustained,
    min: '1s',
    max: '1d',
  }).optional(),
  instant: orNone(instant, {
    description: 'Gross failure: rolls back at once.',
    example: d.instant,
    default: d.instant,
  }).optional(),
  compare: field(compare, {
    description: 'Against which difference to stable the statistics guard.',
    example: d.compare,
    default: d.compare,
  }).optional(),
  promote: field(promote, {
    description: 'What must be proven before a step is passed.',
    example: d.promote,
    default: d.promote,
  }).optional(),
  noData: field(
    patience({
      ...d.noData,
      holdSays: 'A release whose canary cannot be observed is held for this long.',
      thenSays: 'What follows.',
    }),
    { description: 'What happens when measurements stay away.', example: d.noData, default: d.noData },
  ).optional(),
  inconclusive: field(
    patience({
      ...d.inconclusive,
      holdSays: 'Time that a step may take beyond its `hold` to prove its claim.',
      thenSays: 'What follows; a step without proof is never passed.',
    }),
    {
      description: 'What happens when the evidence is too thin to promote.',
      example: d.inconclusive,
      default: d.inconclusive,
    },
  ).optional(),
  errors: field(
    z
      .array(field(z.enum(['5xx', '4xx', 'timeout', 'reset']), { description: 'One kind of outcome.', example: '5xx' }))
      .min(1)
      .max(4),
    {
      description:
        "Which outcomes are errors of the version. Davy's own answers (limiter, breaker, injected) never are.",
      example: d.policy.errors,
      default: d.policy.errors,
    },
  ).optional(),
  warmup: duration({
    description:
      'Measurements of instances younger than this stay out of the comparison with stable. Give 90s or more to versions that start cold.',
    example: '90s',
    default: d.policy.warmup,
    min: '0s',
    max: '1h',
  }).optional(),
  sharedIncident: field(z.enum(['hold', 'rollback']), {
    description: 'What follows when stable breaks the same limit: `hold` the release, or `rollback`.',
    example: 'hold',
    default: d.policy.sharedIncident,
  }).optional(),
});

const defaults = z.strictObject({
  health: field(health, {
    description: 'Health settings of every service that does not set them itself.',
    example: { path: '/q/health' },
  }).optional(),
  traffic: field(traffic, {
    description: 'Traffic settings of every service that does not set them itself, field by field.',
    example: { timeout: '7s' },
  }).optional(),
});

export const specSchema = z.strictObject({
  davy: field(z.literal(1), { description: 'Version of this format.', example: 1 }),
  system: label('Name of the whole system.', 'shop'),
  defaults: field(defaults, {
    description: 'Settings that hold for every service unless it says otherwise.',
    example: { traffic: { timeout: '7s' } },
  }).optional(),
  services: field(z.record(label('Name of a service.', 'service-b'), service), {
    description: 'The services, by name.',
    example: {
      'service-b': { listen: 8082, stable: 'v1', versions: { v1: { run: 'node service.mjs' } }, release: 'standard' },
    },
  }),
  policies: field(z.record(label('Name of a policy.', 'standard'), policy), {
    description: 'How versions are released, by name.',
    example: {
      standard: {
        steps: [
          { weight: '10%', hold: '24h' },
          { weight: '100%', hold: '24h' },
        ],
      },
    },
  }),
});

export type RawSpec = z.infer<typeof specSchema>;
export type RawService = RawSpec['services'][string];
export type RawVersion = RawService['versions'][string];
export type RawTraffic = NonNullable<RawService['traffic']>;
export type RawPolicy = RawSpec['policies'][string];
