import { z } from 'zod';
import { specDefaults as d } from '../defaults.ts';
import { duration, field, integer, orNone, points, ratio, refuse, share } from '../fields.ts';

const latencyLimit = (quantile: string) =>
  duration({
    description: `The ${quantile} quantile of the latency must stay under this.`,
    example: '300ms',
    min: '1ms',
    max: '1h',
  }).optional();

/** Quantiles that a limit can name, as fractions of the requests. */
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
    then: field(z.enum(['rollback', 'hold']), {
      description: about.thenSays,
      example: about.then,
      default: about.then,
    }).optional(),
  });

/** How versions are released. */
export const policy = z.strictObject({
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
      'How long a canary instance may be slow after its first request: latency is compared from then on, failures at any age. Not longer than the first step holds unless given; `0s` turns it off.',
    example: '3m',
    default: d.policy.warmup,
    min: '0s',
    max: '1h',
  }).optional(),
  holdBack: share({
    description:
      'Share of the traffic that stable keeps in the last step, so that the watch stays a comparison; ended by completion. `0%`: none, and the canary is held to what stable did before.',
    example: '5%',
    default: d.policy.holdBack,
    min: '0%',
    max: '20%',
  }).optional(),
  sharedIncident: field(z.enum(['hold', 'rollback']), {
    description: 'What follows when stable breaks the same limit: `hold` the release, or `rollback`.',
    example: 'hold',
    default: d.policy.sharedIncident,
  }).optional(),
});
