import { z } from 'zod';
import { chaosDefaults as d } from '../chaos-defaults.ts';
import { cronLine, duration, field, integer, moment, named, refuse, share, text } from '../fields.ts';
import { label, versionName } from './names.ts';
import { limitQuantiles } from './policy.ts';

const httpUrl = named({
  description:
    'Address that is asked, over HTTP/1.1; the port of a service (`listen`) answers it whatever its instances speak.',
  example: 'http://127.0.0.1:8081/',
  pattern: /^http:\/\/[^\s/?#@]+(\/\S*)?$/,
  rule: 'be an http:// address without a user',
});

const probeLimit = (quantile: string) =>
  duration({
    description: `The ${quantile} quantile of the latency, or each answer of an address, must stay under this.`,
    example: '500ms',
    min: '1ms',
    max: '1h',
  }).optional();

const probe = z
  .strictObject({
    name: label('Name of the probe, unique in its experiment.', 'a-answers'),
    http: httpUrl.optional(),
    status: integer({
      description: 'The status that is good; 200 to 399 unless given.',
      example: 200,
      min: 100,
      max: 599,
    }).optional(),
    under: probeLimit('whole'),
    good: share({
      description: 'Share of answers that must be good.',
      example: '99%',
      default: d.probe.good,
      min: '1%',
      max: '100%',
    }).optional(),
    every: duration({
      description: 'Time between two questions.',
      example: '200ms',
      default: d.probe.every,
      min: '10ms',
      max: '1m',
    }).optional(),
    gateway: label(
      'Service whose traffic, as the gateway counts it, must stay within the limits.',
      'service-a',
    ).optional(),
    errors: share({
      description: 'Failed requests must stay at or under this share.',
      example: '1%',
      min: '0%',
      max: '100%',
    }).optional(),
    p50: probeLimit('50 %'),
    p95: probeLimit('95 %'),
    p99: probeLimit('99 %'),
    minRequests: integer({
      description: 'Fewer requests than this prove nothing.',
      example: 20,
      default: d.probe.minRequests,
      min: 1,
      max: 1_000_000,
    }).optional(),
  })
  .check((context) => {
    const { http, gateway, errors, p50, p95, p99, status, under, good, every, minRequests } = context.value;
    const ofGateway = [errors, p50, p95, p99, minRequests].some((value) => value !== undefined);
    const ofHttp = [status, under, good, every].some((value) => value !== undefined);
    if ((http === undefined) === (gateway === undefined))
      refuse(context, { kind: 'bad-value' }, 'needs either http or gateway');
    else if (http !== undefined && ofGateway)
      refuse(context, { kind: 'bad-value' }, 'mixes http with settings of gateway');
    else if (gateway !== undefined && ofHttp)
      refuse(context, { kind: 'bad-value' }, 'mixes gateway with settings of http');
    else if (gateway !== undefined && [errors, p50, p95, p99].every((value) => value === undefined)) {
      refuse(context, { kind: 'bad-value' }, 'needs errors, p50, p95 or p99');
    }
  });

const faultKinds = ['delay', 'abort', 'blackhole', 'bandwidth', 'kill', 'pause', 'dependencyDown'] as const;
const flag = (description: string) => field(z.literal(true), { description, example: true }).optional();

const fault = z
  .strictObject({
    delay: duration({
      description: 'Requests wait this long before they are forwarded.',
      example: '200ms',
      min: '1ms',
      max: '1m',
    }).optional(),
    abort: integer({
      description: 'The gateway answers with this status itself.',
      example: 503,
      min: 200,
      max: 599,
    }).optional(),
    blackhole: flag('Requests are neither forwarded nor answered before their time-out.'),
    bandwidth: integer({
      description: "Bytes per second of an answer's body.",
      example: 10_000,
      min: 1,
      max: 1_000_000_000,
    }).optional(),
    kill: flag('Instances are killed (SIGKILL).'),
    pause: flag('Instances stand still (SIGSTOP) until the fault ends.'),
    dependencyDown: flag('Every request to the service is answered 503.'),
  })
  .check((context) => {
    const named = faultKinds.filter((kind) => context.value[kind] !== undefined);
    if (named.length !== 1) refuse(context, { kind: 'bad-value' }, `needs exactly one of ${faultKinds.join(', ')}`);
  });

const scope = z.strictObject({
  service: label('The service that is hit.', 'service-b'),
  version: versionName('Only this version; all that get traffic unless given.', 'v1').optional(),
  instances: integer({
    description: 'So many instances, chosen at random with a recorded seed; all unless given.',
    example: 1,
    min: 1,
    max: 100,
  }).optional(),
  zone: text({ description: 'Only instances with this zone label.', example: 'eu-west-1a', max: 63 }).optional(),
  share: share({
    description: 'Share of the requests to what is in scope.',
    example: '20%',
    default: d.share,
    min: '0.01%',
    max: '100%',
  }).optional(),
});

/** One experiment, in the spec or handed in by a command. */
export const experiment = z
  .strictObject({
    hypothesis: text({
      description: 'What is believed to stay true while the fault lasts, in words.',
      example: 'service-a answers within 500 ms although service-b is slow',
      max: 1_000,
    }),
    probes: field(z.array(probe).min(1).max(20), {
      description: 'What measures the hypothesis, before, during and after the fault.',
      example: [{ name: 'a-answers', gateway: 'service-a', errors: '1%', p95: '500ms' }],
    }),
    fault: field(fault, { description: 'What is done.', example: { delay: '200ms' } }),
    scope: field(scope, { description: 'To what it is done.', example: { service: 'service-b', share: '20%' } }),
    for: duration({
      description: 'How long the fault lasts; it ends by itself where it acts.',
      example: '30s',
      min: '1s',
      max: '1h',
    }),
    steady: duration({
      description: 'Good observation before the fault, and after it.',
      example: '5s',
      default: d.steady,
      min: '100ms',
      max: '10m',
    }).optional(),
    stop: share({
      description: "The fault ends early when this share of the service's requests failed over 5 s.",
      example: '20%',
      min: '0.1%',
      max: '100%',
    }).optional(),
    detect: duration({
      description: 'Davy must have noticed the fault within this time.',
      example: '10s',
      min: '100ms',
      max: '1h',
    }).optional(),
    recover: duration({
      description: 'The steady state must be back within this time after the fault.',
      example: '30s',
      default: d.recover,
      min: '100ms',
      max: '1h',
    }).optional(),
    every: duration({
      description: 'Runs at every multiple of this time since 1970 (UTC).',
      example: '4h',
      min: '1s',
      max: '30d',
    }).optional(),
    schedule: cronLine({
      description: 'Cron line of five fields, in UTC: minute hour day month weekday.',
      example: '0 */4 * * *',
      max: 100,
    }).optional(),
    duringRelease: field(z.boolean(), {
      description: 'May run while a release is in flight.',
      example: false,
      default: false,
    }).optional(),
  })
  .check((context) => {
    const { every, schedule } = context.value;
    if (every !== undefined && schedule !== undefined)
      refuse(context, { kind: 'bad-value' }, 'has both every and schedule');
  });

const blastLimits = z.strictObject({
  instances: share({
    description: "Largest share of a service's ready instances that may be hit.",
    example: '50%',
    default: d.limits.instances,
    min: '1%',
    max: '100%',
  }).optional(),
  requests: share({
    description: "Largest share of a service's requests that may be hit.",
    example: '50%',
    default: d.limits.requests,
    min: '0.01%',
    max: '100%',
  }).optional(),
  minHealthy: integer({
    description: 'Ready instances that must stay untouched.',
    example: 1,
    default: d.limits.minHealthy,
    min: 0,
    max: 100,
  }).optional(),
});

const freeze = z
  .strictObject({
    from: moment({ description: 'Start (UTC).', example: '2026-12-24T00:00:00Z' }),
    to: moment({ description: 'End (UTC), after the start.', example: '2026-12-27T00:00:00Z' }),
    why: text({ description: 'Why nothing is rehearsed then.', example: 'holidays', max: 200 }).optional(),
  })
  .check((context) => {
    const { from, to } = context.value;
    if (Date.parse(to) <= Date.parse(from)) refuse(context, { kind: 'out-of-range' }, 'must be after from', ['to']);
  });

/** Rehearsals of failure: what may be tried, how far it may go, and when. */
export const chaos = z.strictObject({
  limits: field(blastLimits, {
    description: 'Blast radius: an experiment beyond any of these is refused.',
    example: { instances: '50%' },
  }).optional(),
  freeze: field(z.array(freeze).max(100), {
    description: 'Times in which no experiment starts.',
    example: [{ from: '2026-12-24T00:00:00Z', to: '2026-12-27T00:00:00Z' }],
    default: [],
  }).optional(),
  experiments: field(z.record(label('Name of an experiment.', 'slow-b'), experiment), {
    description: 'The experiments, by name.',
    example: {
      'slow-b': {
        hypothesis: 'service-a stays within its limits although service-b is slow',
        probes: [{ name: 'a', gateway: 'service-a', errors: '1%' }],
        fault: { delay: '200ms' },
        scope: { service: 'service-b', share: '20%' },
        for: '30s',
      },
    },
  }),
});

export type RawChaos = z.infer<typeof chaos>;
export const probeQuantiles = { p50: limitQuantiles.p50, p95: limitQuantiles.p95, p99: limitQuantiles.p99 } as const;
