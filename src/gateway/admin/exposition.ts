import { NO_GRPC_STATUS, partsOf } from '../stats/answer-code.ts';
import { FLAG_RADIX, FLAGS } from '../stats/flags.ts';
import type { ProcessReport } from '../stats/process-stats.ts';
import type { CallerReport, InstanceReport, ServiceReport, TallyData } from '../stats/report.ts';

/**
 * The counters in Prometheus' text format under Istio's names and labels, so that queries, dashboards and alerts written
 * for a mesh work here. Label values come from the table and from fixed lists: their number is bounded.
 */
export function renderExposition(reports: readonly ServiceReport[], processes: readonly ProcessReport[]): string {
  const families = new Map<string, { type: string; help: string; lines: string[] }>();
  const add = (name: string, type: string, help: string, line: string): void => {
    const family = families.get(name) ?? { type, help, lines: [] };
    families.set(name, family);
    family.lines.push(line);
  };
  for (const report of reports) {
    for (const instance of report.instances) {
      if (instance.outcome.requests > 0) renderInstance(report.service, instance, add);
      if ((instance.started ?? 0) > 0) renderProgress(report.service, instance, add);
    }
    for (const caller of report.callers) renderCaller(report.service, caller, add);
    renderOwn(report, add);
    renderEndpoints(report, add);
  }
  for (const one of processes) renderProcess(one, add);
  const blocks = [...families].map(
    ([name, { type, help, lines }]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('\n')}\n`,
  );
  return blocks.join('');
}

type Add = (name: string, type: string, help: string, line: string) => void;

/** As Istio tells requests apart: by the request's content type, not by the connection that it came over. */
type Protocol = 'http' | 'grpc';

function labelsOf(service: string, version: string, instance: string, cohort: string, protocol: Protocol): string {
  const name = quote(service);
  const revision = quote(version);
  return (
    `reporter="destination",source_workload="unknown",source_app="unknown",destination_service="${name}",` +
    `destination_service_name="${name}",destination_service_namespace="default",destination_app="${name}",` +
    `destination_workload="${name}-${revision}",destination_version="${revision}",` +
    `destination_canonical_service="${name}",destination_canonical_revision="${revision}",` +
    `destination_instance="${quote(instance)}",davy_cohort="${cohort}",request_protocol="${protocol}",connection_security_policy="none"`
  );
}

/** Of a gRPC call; it has none when it ended without an answer. */
function grpcLabel(grpcStatus: number | null): string {
  return grpcStatus === null || grpcStatus === NO_GRPC_STATUS ? '' : `,grpc_response_status="${grpcStatus}"`;
}

/**
 * `labels`: by protocol. A gRPC call that failed has `response_code="200"` as a rule, here as in a mesh: `grpc_response_status` says how it
 * ended.
 */
function renderRequests(
  labels: (protocol: Protocol) => string,
  code: number,
  flag: number,
  count: number,
  add: Add,
): void {
  const { status, grpcStatus } = partsOf(code);
  const common = labels(grpcStatus === null ? 'http' : 'grpc');
  const own = `response_code="${status}",response_flags="${FLAGS[flag]}"${grpcLabel(grpcStatus)}`;
  const line = `istio_requests_total{${common},${own}} ${count}`;
  add('istio_requests_total', 'counter', 'Requests by answer, as the client got it (0: none).', line);
}

function renderInstance(service: string, report: InstanceReport, add: Add): void {
  const { version, instance, cohort, outcome, calls, codes } = report;
  const labels = (protocol: Protocol) => labelsOf(service, version, instance, cohort, protocol);
  for (const [key, count] of codes) renderRequests(labels, Math.floor(key / FLAG_RADIX), key % FLAG_RADIX, count, add);
  const name = 'istio_request_duration_milliseconds';
  const others = calls === undefined ? outcome : without(outcome, calls);
  if (others.requests > 0) renderDurations(name, labels('http'), others, add);
  if (calls !== undefined) renderDurations(name, labels('grpc'), calls, add);
}

/** What is left of a tally without a part of it that has the same edges. */
function without(whole: TallyData, part: TallyData): TallyData {
  return {
    ...whole,
    bins: whole.bins.map((count, i) => count - (part.bins[i] ?? 0)),
    requests: whole.requests - part.requests,
    durationMsSum: Math.max(0, whole.durationMsSum - part.durationMsSum),
  };
}

/** What Istio has no name for, since it counts requests when they end: what was sent, and what is still waited for. */
function renderProgress(
  service: string,
  { version, instance, cohort, started, inFlight }: InstanceReport,
  add: Add,
): void {
  const labels = `{service="${quote(service)}",version="${quote(version)}",instance="${quote(instance)}",davy_cohort="${cohort}"}`;
  const line = (name: string, type: string, help: string, value: number) =>
    add(`davy_gateway_${name}`, type, help, `davy_gateway_${name}${labels} ${value}`);
  line(
    'requests_started_total',
    'counter',
    'Requests sent to the instance, answered or not; retries excluded.',
    started ?? 0,
  );
  line(
    'requests_unanswered',
    'gauge',
    'Requests in progress of whose answer not even the head has come.',
    inFlight?.unanswered ?? 0,
  );
}

function renderDurations(name: string, labels: string, outcome: TallyData, add: Add): void {
  const line = (text: string) =>
    add(name, 'histogram', 'Time from the whole request to the whole answer, of a stream to its head.', text);
  let below = 0;
  outcome.edges.forEach((edge, i) => {
    below += outcome.bins[i] ?? 0;
    line(`${name}_bucket{${labels},le="${edge}"} ${below}`);
  });
  line(`${name}_bucket{${labels},le="+Inf"} ${outcome.requests}`);
  line(`${name}_sum{${labels}} ${outcome.durationMsSum}`);
  line(`${name}_count{${labels}} ${outcome.requests}`);
}

/**
 * A family of its own: in `istio_requests_total` every request stands once already, and would count twice in a sum. Bounded by
 * `limits.callersPerService`.
 */
function renderCaller(service: string, { caller, kind, outcome, codes }: CallerReport, add: Add): void {
  const from = quote(caller);
  const to = quote(service);
  const labels =
    `source_workload="${from}",source_app="${from}",davy_caller="${kind}",` +
    `destination_service="${to}",destination_service_name="${to}",destination_app="${to}"`;
  const name = 'davy_gateway_caller_requests_total';
  for (const [code, count] of codes) {
    const { status, grpcStatus } = partsOf(code);
    const line = `${name}{${labels},response_code="${status}"${grpcLabel(grpcStatus)}} ${count}`;
    add(name, 'counter', 'Requests by caller, and by answer as the caller got it (0: none).', line);
  }
  renderDurations('davy_gateway_caller_request_duration_milliseconds', labels, outcome, add);
}

/** The gateway's own answers have no version: Istio reports such requests with an unknown destination workload. */
function renderOwn({ service, own, ownCodes, extras }: ServiceReport, add: Add): void {
  const labels = (protocol: Protocol) => labelsOf(service, 'unknown', 'unknown', 'none', protocol);
  for (const [key, count] of ownCodes) {
    const [code = '0', flag = '0'] = key.split(' ');
    renderRequests(labels, Number(code), Number(flag), count, add);
  }
  for (const [cause, count] of Object.entries(own)) {
    const line = `davy_gateway_own_answers_total{service="${quote(service)}",cause="${cause}"} ${count}`;
    add('davy_gateway_own_answers_total', 'counter', 'Answers the gateway made itself, by cause.', line);
  }
  for (const [name, count] of Object.entries(extras)) {
    const metric = `davy_gateway_${name}`;
    add(
      metric,
      name.endsWith('_total') ? 'counter' : 'gauge',
      'See the gateway guide.',
      `${metric}{service="${quote(service)}"} ${count}`,
    );
  }
}

function renderEndpoints({ service, endpoints }: ServiceReport, add: Add): void {
  for (const { instance, inFlight, connections, ejected, healthy } of endpoints) {
    const labels = `{service="${quote(service)}",instance="${quote(instance)}"}`;
    const gauge = (name: string, help: string, value: number) =>
      add(`davy_gateway_${name}`, 'gauge', help, `davy_gateway_${name}${labels} ${value}`);
    gauge('requests_in_flight', 'Requests in progress.', inFlight);
    gauge('upstream_connections', 'Open connections, idle ones included.', connections);
    gauge('instance_ejected', '1 while the instance is out after failures in a row.', ejected);
    gauge('instance_healthy', '0 while active checks fail.', healthy);
  }
}

function renderProcess(one: ProcessReport, add: Add): void {
  const labels = `{pid="${one.pid}"}`;
  const line = (name: string, type: string, help: string, value: number) =>
    add(`davy_gateway_${name}`, type, help, `davy_gateway_${name}${labels} ${value}`);
  line('resident_memory_bytes', 'gauge', 'Resident memory of the process.', one.residentBytes);
  line('cpu_seconds_total', 'counter', 'CPU time of the process.', one.cpuSeconds);
  line('gc_seconds_total', 'counter', 'Time spent by the garbage collector.', one.gcSeconds);
  line(
    'event_loop_lag_max_seconds',
    'gauge',
    'Longest delay of the event loop since the last scrape.',
    one.loopLagMaxSeconds,
  );
  line(
    'event_loop_lag_p99_seconds',
    'gauge',
    '99th percentile of the delay of the event loop since the last scrape.',
    one.loopLagP99Seconds,
  );
  line(
    'internal_errors_total',
    'counter',
    'Exceptions of the gateway itself, each of which ended one connection.',
    one.internalErrors ?? 0,
  );
  const { limit = null, open = null, refused = 0 } = one.descriptors ?? {};
  if (limit === null || open === null) return;
  line('descriptors_limit', 'gauge', 'File descriptors that the process may have.', limit);
  line('descriptors_open', 'gauge', 'File descriptors that the process has.', open);
  line(
    'descriptors_refused_total',
    'counter',
    'Connections and requests refused since descriptors were short.',
    refused,
  );
}

function quote(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
