import { parseDurationMs, parsePoints, parseRatePerSecond, parseShare } from '../lib/units.ts';
import { type AnchorSpec, anchorDefaults } from './anchors.ts';
import { splitCommand } from './argv.ts';
import { specDefaults } from './defaults.ts';
import { speaksHttp2, type UpstreamProtocol } from './gateway-model.ts';
import type { Locator } from './locator.ts';
import type {
  HealthProbe,
  HealthSpec,
  ObjectiveSpec,
  PolicySpec,
  ServiceSpec,
  Spec,
  StepSpec,
  TrafficSpec,
  VersionSpec,
} from './model.ts';
import { normaliseChaos } from './normalise-chaos.ts';
import { normaliseGateway } from './normalise-gateway.ts';
import { probeFields } from './schema/health.ts';
import { limitQuantiles } from './schema/policy.ts';
import type { RawHealth, RawPolicy, RawService, RawSpec, RawTraffic, RawVersion } from './schema/spec.ts';

/** Turns a spec that passed the schema into the form the rest of Davy reads: defaults in, units as numbers. */
export function normalise(raw: RawSpec, source: Spec['source'], written: Locator['written']): Spec {
  return {
    system: raw.system,
    services: mapValues(raw.services, (service, name) => normaliseService(name, service, raw.defaults, written)),
    policies: mapValues(raw.policies, (policy, name) => normalisePolicy(name, policy)),
    ...(raw.chaos ? { chaos: normaliseChaos(raw.chaos) } : {}),
    ...(raw.witnesses?.length || raw.timestamps ? { anchors: normaliseAnchors(raw) } : {}),
    source,
  };
}

function normaliseAnchors({ witnesses, timestamps }: RawSpec): AnchorSpec {
  return {
    witnesses: (witnesses ?? []).map(({ url, key }) => ({ url, vkey: key })),
    timestamps: timestamps
      ? {
          url: timestamps.authority,
          everyMs: known(parseDurationMs(timestamps.every ?? anchorDefaults.timestampEvery)),
        }
      : null,
  };
}

function normaliseService(
  name: string,
  raw: RawService,
  defaults: RawSpec['defaults'],
  written: Locator['written'],
): ServiceSpec {
  const traffic = normaliseTraffic(mergeTraffic(defaults?.traffic, raw.traffic), name);
  return {
    name,
    listenPort: raw.listen,
    stable: raw.stable,
    versions: mapValues(raw.versions, (version, versionName) =>
      normaliseVersion(versionName, version, (variable) =>
        written(['services', name, 'versions', versionName, 'env', variable]),
      ),
    ),
    health: normaliseHealth(defaults?.health, raw.health, traffic.gateway?.protocol),
    traffic,
    policy: raw.release,
    objectives: (raw.objectives ?? []).map(normaliseObjective),
    expect: raw.expect ? { ratePerSecond: known(parseRatePerSecond(raw.expect.rate)) } : null,
  };
}

function normaliseVersion(name: string, raw: RawVersion, written: (variable: string) => string | null): VersionSpec {
  const split = raw.run === undefined ? null : splitCommand(raw.run);
  return {
    name,
    argv: split && 'argv' in split ? split.argv : null,
    env: mapValues(raw.env ?? {}, (value, variable) => written(variable) ?? String(value)),
    replicas: raw.endpoints ? raw.endpoints.length : (raw.replicas ?? specDefaults.version.replicas),
    endpoints: (raw.endpoints ?? []).map(normaliseEndpoint),
    zone: raw.zone ?? null,
  };
}

/** `http://host:port`; port 80 is written out. */
function normaliseEndpoint(text: string): string {
  const url = new URL(text);
  return `http://${url.hostname}:${url.port || '80'}`;
}

function normaliseHealth(
  base: RawHealth | undefined,
  own: RawHealth | undefined,
  protocol: UpstreamProtocol | undefined,
): HealthSpec {
  const raw = fill(specDefaults.health, base, own);
  return {
    probe: normaliseProbe([own, base].find(saysHow) ?? {}, protocol),
    everyMs: ms(raw.every),
    timeoutMs: ms(raw.timeout),
    unhealthyAfter: raw.unhealthyAfter,
    healthyAfter: raw.healthyAfter,
    startWithinMs: ms(raw.startWithin),
  };
}

/** `path`, `grpc` and `tcp` are one setting: what the service says of them replaces all that the spec's defaults say. */
function saysHow(raw: RawHealth | undefined): boolean {
  return raw !== undefined && probeFields.some((name) => raw[name] !== undefined);
}

/** A path is asked for in the protocol of the service; one that serves gRPC is asked by gRPC unless the file says how. */
function normaliseProbe({ path, grpc, tcp }: RawHealth, protocol: UpstreamProtocol | undefined): HealthProbe {
  if (tcp) return { kind: 'tcp' };
  if (grpc !== undefined) return { kind: 'grpc', service: grpc };
  if (path === undefined && protocol === 'grpc') return { kind: 'grpc', service: '' };
  return { kind: speaksHttp2(protocol) ? 'h2c' : 'http1', path: path ?? specDefaults.health.path };
}

/** The service's settings over the spec's defaults, field by field; `none` on either side replaces settings as a whole. */
function mergeTraffic(base: RawTraffic | undefined, own: RawTraffic | undefined): RawTraffic {
  return {
    ...base,
    ...own,
    retries: mergeSettings(base?.retries, own?.retries),
    ejection: mergeSettings(base?.ejection, own?.ejection),
    rateLimit: mergeSettings(base?.rateLimit, own?.rateLimit),
  };
}

function mergeSettings<Settings extends object>(
  base: Settings | 'none' | undefined,
  own: Settings | 'none' | undefined,
): Settings | 'none' | undefined {
  if (typeof base === 'object' && typeof own === 'object') return { ...base, ...own };
  return own ?? base;
}

function normaliseTraffic(raw: RawTraffic, service: string): TrafficSpec {
  const retries = settings(raw.retries ?? specDefaults.traffic.retries, specDefaults.retries);
  const ejection = settings(raw.ejection ?? specDefaults.traffic.ejection, specDefaults.ejection);
  const rateLimit = raw.rateLimit ?? specDefaults.traffic.rateLimit;
  const gateway = normaliseGateway(raw, service);
  const header = (raw.canaryHeader ?? specDefaults.traffic.canaryHeader).toLowerCase();
  return {
    timeoutMs: ms(raw.timeout ?? specDefaults.traffic.timeout),
    retries: retries && {
      maxTries: retries.maxTries,
      perTryMs: ms(retries.perTry),
      budgetShare: shareOf(retries.budget),
    },
    ejection: ejection && { consecutive5xx: ejection.consecutive5xx, forMs: ms(ejection.for) },
    canaryHeader: header === 'none' ? null : header,
    rateLimit:
      rateLimit === 'none' ? null : { perSecond: known(parseRatePerSecond(rateLimit.rate)), burst: rateLimit.burst },
    ...(Object.keys(gateway).length > 0 ? { gateway } : {}),
  };
}

function settings<Full extends object>(raw: Loose<Full> | 'none', defaults: Full): Full | null {
  return raw === 'none' ? null : fill(defaults, raw);
}

function normaliseObjective(raw: NonNullable<RawService['objectives']>[number]): ObjectiveSpec {
  const common = { name: raw.name, windowMs: ms(raw.window ?? specDefaults.objective.window) };
  if (raw.under === undefined)
    return { ...common, kind: 'availability', targetShare: shareOf(raw.target ?? ''), underMs: null };
  return { ...common, kind: 'latency', targetShare: shareOf(raw.share ?? ''), underMs: ms(raw.under) };
}

function normalisePolicy(name: string, raw: RawPolicy): PolicySpec {
  const d = specDefaults;
  const instant = settings(raw.instant ?? d.instant, d.instant);
  const { compare, promote } = raw;
  const noData = fill(d.noData, raw.noData);
  const inconclusive = fill(d.inconclusive, raw.inconclusive);
  const holdBackBp = bpOf(raw.holdBack ?? d.policy.holdBack);
  return {
    name,
    lookMs: ms(raw.look ?? d.policy.look),
    steps: raw.steps.map((step, index) => normaliseStep(step, index === raw.steps.length - 1 ? holdBackBp : 0)),
    sustainedMs: ms(raw.sustained ?? d.policy.sustained),
    instant: instant && {
      errorShare: shareOf(instant.errors),
      overMs: ms(instant.over),
      minRequests: instant.minRequests,
    },
    compare: {
      falseRollbackShare: shareOf(compare?.falseRollback ?? d.compare.falseRollback),
      errors: margin(fill(d.compare.errors, compare?.errors)),
      latency: fill(d.compare.latency, compare?.latency),
    },
    promote: {
      confidenceShare: shareOf(promote?.confidence ?? d.promote.confidence),
      errors: margin(fill(d.promote.errors, promote?.errors)),
      latency: margin(fill(d.promote.latency, promote?.latency)),
    },
    noData: { holdMs: ms(noData.hold), then: noData.then },
    inconclusive: { holdMs: ms(inconclusive.hold), then: inconclusive.then },
    errors: [...(raw.errors ?? d.policy.errors)],
    // A first step that holds shorter than the default warm-up says how long its author thinks a start takes.
    warmupMs: raw.warmup === undefined ? Math.min(ms(d.policy.warmup), ms(raw.steps[0]!.hold)) : ms(raw.warmup),
    holdBackBp,
    sharedIncident: raw.sharedIncident ?? d.policy.sharedIncident,
  };
}

function margin(raw: { ratio: number; plus: string }): { ratio: number; plusShare: number } {
  return { ratio: raw.ratio, plusShare: known(parsePoints(raw.plus)) };
}

function normaliseStep(raw: RawPolicy['steps'][number], holdBackBp: number): StepSpec {
  const limits = raw.limits ?? {};
  const quantiles = Object.keys(limitQuantiles) as (keyof typeof limitQuantiles)[];
  return {
    weightBp: bpOf(raw.weight) === 10_000 ? 10_000 - holdBackBp : bpOf(raw.weight),
    holdMs: ms(raw.hold),
    limits: {
      errorShare: limits.errors === undefined ? null : shareOf(limits.errors),
      latency: quantiles.flatMap((name) => {
        const under = limits[name];
        return under === undefined ? [] : [{ quantile: limitQuantiles[name], underMs: ms(under) }];
      }),
    },
  };
}

function bpOf(text: string): number {
  return Math.round(shareOf(text) * 10_000);
}

type Loose<Full> = { [Key in keyof Full]?: Full[Key] | undefined };

/** Later settings win, field by field. */
function fill<Full extends object>(defaults: Full, ...settings: (Loose<Full> | undefined)[]): Full {
  return Object.assign({}, defaults, ...settings) as Full;
}

function ms(text: string): number {
  return known(parseDurationMs(text));
}

function shareOf(text: string): number {
  return known(parseShare(text));
}

/** The schema has read every quantity once already; a null here is a bug, not bad input. */
function known(value: number | null): number {
  if (value === null) throw new TypeError('a quantity passed the schema and cannot be read');
  return value;
}

function mapValues<In, Out>(record: Record<string, In>, map: (value: In, key: string) => Out): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]));
}
