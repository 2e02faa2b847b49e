import { expect, test } from 'vitest';
import type { ChaosRunDoc } from '../server/routes/chaos.ts';
import type { FleetDoc } from '../server/schemas.ts';
import { type BiDailyInput, buildBiDaily, judgeDistribution } from './bi-daily.ts';
import { parseExposition, serviceFigures } from './exposition.ts';
import { biDailyMarkdown } from './markdown.ts';

const instance = {
  ...{ id: 'service-b/v1/1', service: 'service-b', version: 'v1', host: '127.0.0.1', port: 4000, zone: null },
  ...{ phase: 'ready' as const, pid: 1, restarts: 0, startedAtMs: 0, problem: null },
};

const fleet: FleetDoc = {
  ...{ schemaVersion: 1, system: 'shop', nowMs: 0, releases: [] },
  services: [
    {
      ...{ name: 'service-b', listenPort: 8082, stable: 'v1', active: null, canary: 'v2' },
      ...{ weightBp: 1_000, effectiveWeightBp: 1_000, instances: [instance] },
    },
  ],
  traffic: { generation: 1, problem: null, warnings: [], hold: null },
  ledger: { size: 1, tip: '', late: 0, anchors: [], bytes: 400, growth: null },
  dirty: [],
};

const input: BiDailyInput = {
  ...{
    atMs: Date.UTC(2026, 0, 3),
    periodMs: 48 * 3_600_000,
    branch: 'main',
    version: '1',
    fleet,
    chaos: [],
    evidence: [],
  },
  spec: { file: 'davy.yaml', sha256: 'abc' },
  figures: [{ service: 'service-b', requests: 1_000, failed: 1, own: 0, p50Ms: 5, p95Ms: 10, p99Ms: 25 }],
  distribution: { service: 'service-b', weight: 0.1, canary: 'v2', counts: { v1: 180, v2: 20 } },
  ledger: { ok: true, size: 10, root: 'root' },
  resources: {
    processes: [{ name: 'controller', pid: 7, ports: [], restarts: null, memoryBytes: 90 * 2 ** 20 }],
    replicas: [{ service: 'service-b', version: 'v1', declared: 3, running: 2, zone: null, runs: 'process' }],
    limits: [
      {
        ...{ service: 'service-b', listenPort: 8082, timeout: '5s', rate: '50/s, burst 10', retries: 'none' },
        ...{ ejection: 'none', caps: 'none' },
      },
    ],
  },
};

const failedRun = {
  ...{ id: 'chaos-1', experiment: 'slow-b', service: 'service-b', targets: ['service-b/v1/1'], phase: 'reverted' },
  plannedAtMs: Date.UTC(2026, 0, 2),
  conclusion: { verdict: 'FAIL', reasons: ['p95 was | broken'], steadyAfterMs: null },
} as unknown as ChaosRunDoc;

test('S0: 200 requests at 10 % pass anywhere from 12 to 28, and the report says so', () => {
  const at = (v2: number) => judgeDistribution({ ...input.distribution, counts: { v1: 200 - v2, v2 } });
  expect(at(20)).toMatchObject({ expectedLow: 12, expectedHigh: 28, requests: 200 });
  expect([11, 12, 28, 29].map((v2) => at(v2).verdict)).toEqual(['FAIL', 'PASS', 'PASS', 'FAIL']);
  expect(buildBiDaily(input).nextSteps).toContain('sample 865 requests to know the split within two percentage points');
});

test('without a release or a sample nothing is claimed about the split', () => {
  expect(judgeDistribution({ ...input.distribution, weight: null }).verdict).toBe('INCONCLUSIVE');
  expect(judgeDistribution({ ...input.distribution, counts: {} }).verdict).toBe('INCONCLUSIVE');
});

test('a quiet period is healthy; everything that stands out is named', () => {
  expect(buildBiDaily(input)).toMatchObject({ status: 'healthy', anomalies: [] });
  const unready = { ...instance, phase: 'backing-off' as const, problem: 'exited with code 1' };
  const trouble = buildBiDaily({
    ...input,
    fleet: { ...fleet, services: [{ ...fleet.services[0]!, instances: [unready] }] },
    figures: [{ ...input.figures[0]!, failed: 50 }],
    chaos: [failedRun, { ...failedRun, id: 'chaos-0', plannedAtMs: 0 }],
    ledger: { ...input.ledger, ok: false },
  });
  expect(trouble.status).toBe('needs attention');
  expect(trouble.anomalies).toEqual([
    'service-b/v1/1 is backing-off: exited with code 1',
    'service-b: 50 of 1000 requests failed',
    'chaos-1 (slow-b) ended as FAIL: p95 was | broken',
    'the ledger does not verify',
  ]);
});

test('the Markdown has the sections that were promised, and no cell breaks its table', () => {
  const text = String(biDailyMarkdown(buildBiDaily({ ...input, chaos: [failedRun] })));
  const sections = text.split('\n').filter((line) => line.startsWith('## '));
  expect(sections.map((line) => line.slice(3))).toEqual([
    ...['Components', 'Canary status', 'Traffic split', 'Performance', 'Chaos outcomes'],
    ...['Resource configuration', 'Evidence files', 'Hash chain', 'Anomalies', 'Next steps', 'Notes'],
  ]);
  expect(text).toContain('p95 was \\| broken |');
  expect(text).toContain('| service-b | v1 | 3 | 2 | – | process |');
  expect(text).toContain('| service-b | 8082 | 5s | 50/s, burst 10 | none | none | none |');
  expect(text).toContain('| controller | 7 | – | – | 90 MiB |');
});

test('the same input gives the same report', () => {
  expect(String(biDailyMarkdown(buildBiDaily(input)))).toBe(
    String(biDailyMarkdown(buildBiDaily(structuredClone(input)))),
  );
});

test('figures are read from the exposition text', () => {
  const labels = (version: string, more: string): string =>
    `{destination_service_name="b",destination_version="${version}",${more}}`;
  const text = [
    '# TYPE istio_requests_total counter',
    `istio_requests_total${labels('v1', 'response_code="200"')} 95`,
    `istio_requests_total${labels('v1', 'response_code="503",response_flags="-"')} 5`,
    `istio_requests_total${labels('v1', 'response_code="200",grpc_response_status="13"')} 3`,
    `istio_requests_total${labels('v1', 'response_code="200",grpc_response_status="5"')} 1`,
    `istio_requests_total${labels('v1', 'response_code="0",response_flags="UC"')} 2`,
    `istio_requests_total${labels('v1', 'response_code="0",response_flags="DC"')} 4`,
    `istio_requests_total${labels('unknown', 'response_code="429"')} 7`,
    `istio_request_duration_milliseconds_bucket${labels('v1', 'le="5"')} 60`,
    `istio_request_duration_milliseconds_bucket${labels('v1', 'le="10"')} 95`,
    `istio_request_duration_milliseconds_bucket${labels('v1', 'le="+Inf"')} 100`,
    'broken line',
    'other{a="x\\"y"} NaN',
  ].join('\n');
  expect(serviceFigures(parseExposition(text), 'b')).toEqual({
    ...{ service: 'b', requests: 110, failed: 10, own: 7, p50Ms: 5, p95Ms: 10, p99Ms: null },
  });
  expect(serviceFigures(parseExposition(text), 'c')).toMatchObject({ requests: 0, p95Ms: null });
});
