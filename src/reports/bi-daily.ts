import { wilson95 } from '../analysis/proportion.ts';
import { own } from '../lib/own.ts';
import type { ChaosRunDoc } from '../server/routes/chaos.ts';
import type { FleetDoc } from '../server/schemas.ts';
import type { ServiceFigures } from './exposition.ts';
import type { Resources } from './resources.ts';

/** A file that goes into the ledger with the report. */
export interface EvidenceLine {
  name: string;
  desc: string;
  sha256: string;
  seq: number;
}

/** Versions that answered a sample of requests. */
export interface DistributionSample {
  service: string;
  /** The canary's decided share, 0..1; null without a release in flight. */
  weight: number | null;
  canary: string | null;
  counts: Record<string, number>;
}

export interface BiDailyInput {
  atMs: number;
  periodMs: number;
  /** What the spec was at the time: its file and SHA-256. */
  spec: { file: string; sha256: string };
  branch: string | null;
  version: string;
  fleet: FleetDoc;
  figures: ServiceFigures[];
  chaos: ChaosRunDoc[];
  distribution: DistributionSample;
  resources: Resources;
  evidence: EvidenceLine[];
  ledger: { ok: boolean; size: number; root: string };
}

export interface Distribution extends DistributionSample {
  requests: number;
  canaryRequests: number;
  observed: number;
  low: number;
  high: number;
  /** Counts that a correct split gives in 95 of 100 samples of this size; null without a weight. */
  expectedLow: number | null;
  expectedHigh: number | null;
  verdict: 'PASS' | 'FAIL' | 'INCONCLUSIVE';
}

export interface BiDailyReport extends Omit<BiDailyInput, 'distribution' | 'fleet'> {
  schemaVersion: 1;
  system: string;
  status: 'healthy' | 'needs attention';
  components: { name: string; version: string; status: string; access: string; replicas: number }[];
  releases: FleetDoc['releases'];
  distribution: Distribution;
  anomalies: string[];
  nextSteps: string[];
}

/** Puts the figures in order and says what stands out. Pure: the same input gives the same report. */
export function buildBiDaily(input: BiDailyInput): BiDailyReport {
  const { fleet, distribution: sample, ...rest } = input;
  const distribution = judgeDistribution(sample);
  const sinceMs = input.atMs - input.periodMs;
  const releases = fleet.releases.filter((one) => one.endedAtMs === null || one.endedAtMs >= sinceMs);
  const chaos = input.chaos.filter((one) => one.plannedAtMs >= sinceMs);
  const anomalies = anomaliesOf({ ...input, chaos }, distribution);
  return {
    schemaVersion: 1,
    system: fleet.system,
    status: anomalies.length === 0 ? 'healthy' : 'needs attention',
    ...{ ...rest, chaos, distribution, releases, anomalies },
    components: [davyItself(input), ...componentsOf(fleet)],
    nextSteps: nextSteps(releases, chaos, distribution),
  };
}

export function judgeDistribution(sample: DistributionSample): Distribution {
  const requests = Object.values(sample.counts).reduce((sum, count) => sum + count, 0);
  const canaryRequests = sample.canary === null ? 0 : (own(sample.counts, sample.canary) ?? 0);
  const { low, high } = wilson95(canaryRequests, requests);
  const observed = requests === 0 ? 0 : canaryRequests / requests;
  const base = { ...sample, requests, canaryRequests, observed, low, high };
  const { weight } = sample;
  if (weight === null || requests === 0)
    return { ...base, expectedLow: null, expectedHigh: null, verdict: 'INCONCLUSIVE' };
  // Normal approximation of the binomial: 200 requests at 10 % give 12 to 28.
  const spread = 1.96 * Math.sqrt(requests * weight * (1 - weight));
  const expectedLow = Math.max(0, Math.ceil(requests * weight - spread));
  const expectedHigh = Math.min(requests, Math.floor(requests * weight + spread));
  const verdict = canaryRequests >= expectedLow && canaryRequests <= expectedHigh ? 'PASS' : 'FAIL';
  return { ...base, expectedLow, expectedHigh, verdict };
}

/** Davy itself stands first: what watches is part of what is reported. */
function davyItself({ version, ledger }: BiDailyInput): BiDailyReport['components'][number] {
  return { name: 'davy', version, status: 'ready', access: `ledger of ${ledger.size} records`, replicas: 1 };
}

function componentsOf(fleet: FleetDoc): BiDailyReport['components'] {
  return fleet.services.flatMap((service) => {
    const versions = [...new Set(service.instances.map((instance) => instance.version))];
    return versions.map((version) => {
      const mine = service.instances.filter((instance) => instance.version === version);
      const ready = mine.filter((instance) => instance.phase === 'ready').length;
      const status = ready === mine.length ? 'ready' : `${ready} of ${mine.length} ready`;
      return {
        name: service.name,
        version,
        status,
        access: `http://127.0.0.1:${service.listenPort}`,
        replicas: mine.length,
      };
    });
  });
}

function anomaliesOf(input: Omit<BiDailyInput, 'distribution'>, distribution: Distribution): string[] {
  const { fleet, figures, chaos, ledger } = input;
  const unready = fleet.services.flatMap((service) =>
    service.instances
      .filter((one) => one.phase !== 'ready')
      .map((one) => `${one.id} is ${one.phase}${one.problem ? `: ${one.problem}` : ''}`),
  );
  const failing = figures
    .filter((one) => one.requests > 0 && one.failed / one.requests > 0.01)
    .map((one) => `${one.service}: ${one.failed} of ${one.requests} requests failed`);
  const rehearsals = chaos
    .filter((run) => run.conclusion !== null && run.conclusion.verdict !== 'PASS')
    .map(
      (run) => `${run.id} (${run.experiment}) ended as ${run.conclusion?.verdict}: ${run.conclusion?.reasons[0] ?? ''}`,
    );
  const split =
    distribution.verdict === 'FAIL'
      ? [`the split is off: ${distribution.canaryRequests} of ${distribution.requests}`]
      : [];
  const drift = fleet.traffic.problem === null ? [] : [`traffic is not in step: ${fleet.traffic.problem}`];
  const unkept = fleet.ledger.anchors
    .filter(({ problem }) => problem !== null)
    .map(({ name, problem }) => `the ledger's ${name} fails: ${problem}`);
  return [
    ...unready,
    ...failing,
    ...rehearsals,
    ...split,
    ...drift,
    ...unkept,
    ...(ledger.ok ? [] : ['the ledger does not verify']),
  ];
}

function nextSteps(releases: FleetDoc['releases'], chaos: ChaosRunDoc[], distribution: Distribution): string[] {
  const open = releases
    .filter((one) => one.endedAtMs === null)
    .map((one) => `watch ${one.id} (${one.version}) at ${one.weightBp / 100} %`);
  const failed = chaos
    .filter((run) => run.conclusion?.verdict === 'FAIL')
    .map((run) => `mend what ${run.experiment} showed on ${run.service}, then run it again`);
  // To tell a share within ±2 points at 10 % takes 865 requests: n = 1.96² p (1 - p) / 0.02².
  const { weight, requests } = distribution;
  const needed = weight === null ? 0 : Math.ceil((1.96 ** 2 * weight * (1 - weight)) / 0.02 ** 2);
  const more = needed > requests ? [`sample ${needed} requests to know the split within two percentage points`] : [];
  return [...open, ...failed, ...more];
}
