import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { formatDurationMs, formatPoints, formatRatePerSecond, formatShare, formatWeightBp } from '../lib/units.ts';
import type { HealthProbe, PolicySpec, ServiceSpec, Spec } from './model.ts';
import { parseSpec } from './parse.ts';

const one = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined });
const duration = fc.constantFrom('1s', '2.5s', '30s', '1m30s', '1h');
const share = fc.constantFrom('1%', '1.5%', '12.25%', '50%', '99.9%');
const points = fc.constantFrom('0.01pp', '0.5pp', '12pp');
const rate = fc.constantFrom('1/s', '90/m', '1000/s', '7200/h');
const count = fc.integer({ min: 1, max: 10 });
const words = fc.constantFrom('a b', "it's", '"', '\\', '|', '$x', '', 'ü');
const margin = fc.record({ ratio: one(fc.constantFrom(1.1, 2, 10)), plus: one(points) });

const traffic = fc.record({
  timeout: one(duration),
  retries: one(
    fc.oneof(fc.constant('none'), fc.record({ maxTries: one(count), perTry: one(duration), budget: one(share) })),
  ),
  ejection: one(fc.oneof(fc.constant('none'), fc.record({ consecutive5xx: one(count), for: one(duration) }))),
  canaryHeader: one(fc.constantFrom('none', 'X-Canary')),
  rateLimit: one(fc.oneof(fc.constant('none'), fc.record({ rate, burst: count }))),
  protocol: one(fc.constantFrom('http1', 'h2c', 'grpc')),
});
const health = fc
  .tuple(
    fc.record({
      every: one(duration),
      timeout: one(fc.constantFrom('50ms', '1s')),
      unhealthyAfter: one(count),
      healthyAfter: one(count),
      startWithin: one(duration),
    }),
    fc.constantFrom<object>({}, { path: '/up' }, { grpc: 'shop.Orders' }, { tcp: true }),
  )
  .map(([times, how]) => ({ ...times, ...how }));
const run = fc.array(words, { maxLength: 3 }).map((args) => ['node', ...args].map(shellQuoted).join(' '));
const version = fc.oneof(
  fc.record({
    run,
    env: one(fc.dictionary(fc.constantFrom('A', 'B_2'), fc.oneof(words, fc.integer(), fc.boolean()))),
    replicas: one(count),
    zone: one(fc.constant('z1')),
  }),
  fc.record({
    endpoints: fc.uniqueArray(
      fc.integer({ min: 9000, max: 65_535 }).map((port) => `http://10.0.0.1:${port}`),
      { minLength: 1, maxLength: 3 },
    ),
  }),
);
const step = (weight: string) =>
  fc.record({
    weight: fc.constant(weight),
    hold: duration,
    limits: one(fc.record({ errors: one(share), p95: one(duration), 'p99.9': one(duration) })),
  });
const policy = fc.record({
  look: one(fc.constantFrom('100ms', '1s')),
  steps: fc.tuple(step('0.25%'), step('33%'), step('100%')),
  sustained: one(duration),
  instant: one(
    fc.oneof(fc.constant('none'), fc.record({ errors: one(share), over: one(duration), minRequests: one(count) })),
  ),
  compare: one(
    fc.record({
      falseRollback: one(fc.constant('0.1%')),
      errors: one(margin),
      latency: one(fc.record({ ratio: one(fc.constant(1.5)) })),
    }),
  ),
  promote: one(fc.record({ confidence: one(fc.constant('95%')), errors: one(margin), latency: one(margin) })),
  noData: one(fc.record({ hold: one(duration), then: one(fc.constantFrom('hold', 'rollback')) })),
  inconclusive: one(fc.record({ hold: one(duration), then: one(fc.constantFrom('hold', 'rollback')) })),
  errors: one(fc.uniqueArray(fc.constantFrom('5xx', '4xx', 'timeout', 'reset'), { minLength: 1 })),
  warmup: one(fc.constantFrom('0s', '90s')),
  holdBack: one(fc.constantFrom('0%', '2%', '5%')),
  sharedIncident: one(fc.constantFrom('hold', 'rollback')),
});
const service = fc
  .record({
    listen: fc.constant(8081),
    stable: fc.constant('v1'),
    versions: fc.record({ v1: version }),
    health: one(health),
    traffic: one(traffic),
    release: fc.constant('p'),
    objectives: one(
      fc.tuple(
        fc.record({ name: fc.constant('up'), target: share, window: one(fc.constant('7d')) }),
        fc.record({ name: fc.constant('fast'), share, under: duration }),
      ),
    ),
    expect: one(fc.record({ rate })),
  })
  // HTTP/1.1 carries no gRPC check.
  .map((one) => ('grpc' in (one.health ?? {}) ? { ...one, traffic: { ...one.traffic, protocol: 'h2c' } } : one));
const spec = fc.record({
  davy: fc.constant(1),
  system: fc.constant('s'),
  defaults: one(fc.record({ health: one(health.filter((one) => !('grpc' in one))), traffic: one(traffic) })),
  services: fc.record({ a: service }),
  policies: fc.record({ p: policy }),
});

/** A normalised spec as a file that leaves nothing to defaults. */
function written(of: Spec): string {
  const services = mapValues(of.services, writtenService);
  return stringify({ davy: 1, system: of.system, services, policies: mapValues(of.policies, writtenPolicy) });
}

function writtenService(of: ServiceSpec): object {
  const { retries, ejection, canaryHeader, rateLimit, timeoutMs, gateway } = of.traffic;
  return {
    listen: of.listenPort,
    stable: of.stable,
    versions: mapValues(of.versions, ({ argv, env, replicas, endpoints, zone }) => ({
      ...(argv ? { run: argv.map(shellQuoted).join(' '), env, replicas } : { endpoints }),
      ...(zone === null ? {} : { zone }),
    })),
    health: {
      ...writtenProbe(of.health.probe),
      every: formatDurationMs(of.health.everyMs),
      timeout: formatDurationMs(of.health.timeoutMs),
      unhealthyAfter: of.health.unhealthyAfter,
      healthyAfter: of.health.healthyAfter,
      startWithin: formatDurationMs(of.health.startWithinMs),
    },
    traffic: {
      timeout: formatDurationMs(timeoutMs),
      retries: retries
        ? {
            maxTries: retries.maxTries,
            perTry: formatDurationMs(retries.perTryMs),
            budget: formatShare(retries.budgetShare),
          }
        : 'none',
      ejection: ejection ? { consecutive5xx: ejection.consecutive5xx, for: formatDurationMs(ejection.forMs) } : 'none',
      canaryHeader: canaryHeader ?? 'none',
      rateLimit: rateLimit ? { rate: formatRatePerSecond(rateLimit.perSecond), burst: rateLimit.burst } : 'none',
      ...(gateway?.protocol ? { protocol: gateway.protocol } : {}),
    },
    release: of.policy,
    objectives: of.objectives.map(({ name, kind, targetShare, underMs, windowMs }) => ({
      name,
      window: formatDurationMs(windowMs),
      ...(kind === 'latency'
        ? { share: formatShare(targetShare), under: formatDurationMs(underMs ?? 0) }
        : { target: formatShare(targetShare) }),
    })),
    ...(of.expect ? { expect: { rate: formatRatePerSecond(of.expect.ratePerSecond) } } : {}),
  };
}

function writtenProbe(probe: HealthProbe): object {
  if (probe.kind === 'tcp') return { tcp: true };
  return probe.kind === 'grpc' ? { grpc: probe.service } : { path: probe.path };
}

function writtenPolicy(of: PolicySpec): object {
  const margins = (each: { ratio: number; plusShare: number }) => ({
    ratio: each.ratio,
    plus: formatPoints(each.plusShare),
  });
  const patience = (each: { holdMs: number; then: string }) => ({
    hold: formatDurationMs(each.holdMs),
    then: each.then,
  });
  return {
    look: formatDurationMs(of.lookMs),
    steps: of.steps.map(({ weightBp, holdMs, limits }) => ({
      weight: formatWeightBp(weightBp),
      hold: formatDurationMs(holdMs),
      limits: {
        ...(limits.errorShare === null ? {} : { errors: formatShare(limits.errorShare) }),
        ...Object.fromEntries(
          limits.latency.map(({ quantile, underMs }) => [`p${quantile * 100}`, formatDurationMs(underMs)]),
        ),
      },
    })),
    sustained: formatDurationMs(of.sustainedMs),
    instant: of.instant
      ? {
          errors: formatShare(of.instant.errorShare),
          over: formatDurationMs(of.instant.overMs),
          minRequests: of.instant.minRequests,
        }
      : 'none',
    compare: {
      falseRollback: formatShare(of.compare.falseRollbackShare),
      errors: margins(of.compare.errors),
      latency: of.compare.latency,
    },
    promote: {
      confidence: formatShare(of.promote.confidenceShare),
      errors: margins(of.promote.errors),
      latency: margins(of.promote.latency),
    },
    noData: patience(of.noData),
    inconclusive: patience(of.inconclusive),
    errors: of.errors,
    warmup: formatDurationMs(of.warmupMs),
    holdBack: formatShare(of.holdBackBp / 10_000),
    sharedIncident: of.sharedIncident,
  };
}

function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function mapValues<In, Out>(record: Record<string, In>, map: (value: In) => Out): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

function withoutSource(text: string): Omit<Spec, 'source'> {
  const { source: _, ...rest } = parseSpec(text, 'f').spec;
  return rest;
}

describe('normalise', () => {
  it('is idempotent: a spec written out in full reads as the same spec', () => {
    fc.assert(
      fc.property(spec, (raw) => {
        const { spec: first } = parseSpec(stringify(raw, { aliasDuplicateObjects: false }), 'f');
        const { source: _, ...expected } = first;
        expect(withoutSource(written(first))).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });
});

describe('how an instance is asked', () => {
  const probeOf = (traffic: string, health: string, defaults = '{}') =>
    parseSpec(
      `davy: 1
system: s
defaults: { health: ${defaults} }
services:
  a:
    listen: 8081
    stable: v1
    versions: { v1: { run: node a.mjs } }
    release: p
    traffic: ${traffic}
    health: ${health}
policies: { p: { steps: [{ weight: 100%, hold: 1s }] } }
`,
      'davy.yaml',
    ).spec.services.a!.health.probe;

  it.each([
    ['{}', '{}', '{}', { kind: 'http1', path: '/q/health' }],
    ['{ protocol: http1 }', '{ path: /up }', '{}', { kind: 'http1', path: '/up' }],
    ['{ protocol: h2c }', '{ path: /up }', '{}', { kind: 'h2c', path: '/up' }],
    ['{ protocol: h2c }', '{}', '{}', { kind: 'h2c', path: '/q/health' }],
    ['{ protocol: h2c }', "{ grpc: '' }", '{}', { kind: 'grpc', service: '' }],
    ['{ protocol: grpc }', '{}', '{}', { kind: 'grpc', service: '' }],
    ['{ protocol: grpc }', '{ grpc: shop.Orders }', '{}', { kind: 'grpc', service: 'shop.Orders' }],
    ['{ protocol: grpc }', '{ every: 1s }', '{ every: 5s }', { kind: 'grpc', service: '' }],
    ['{ protocol: grpc }', '{ path: /up }', '{}', { kind: 'h2c', path: '/up' }],
    ['{}', '{ tcp: true }', '{}', { kind: 'tcp' }],
    ['{}', '{}', '{ tcp: true }', { kind: 'tcp' }],
    ['{}', '{ path: /own }', '{ tcp: true }', { kind: 'http1', path: '/own' }],
    ['{ protocol: grpc }', '{ tcp: true }', '{ path: /up }', { kind: 'tcp' }],
    ['{ protocol: grpc }', '{ every: 1s }', '{ path: /up }', { kind: 'h2c', path: '/up' }],
  ])('traffic %s, health %s over the defaults %s', (traffic, health, defaults, probe) => {
    expect(probeOf(traffic, health, defaults)).toEqual(probe);
  });
});
