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

function labelsOf(service: string, version: string, instance: string, cohort: string): string {
  const name = quote(service);
  const revision = quote(version);
  return (
    `reporter="destination",source_workload="unknown",source_app="unknown",destination_service="${name}",` +
    `destination_service_name="${name}",destination_service_namespace="default",destination_app="${name}",` +
    `destination_workload="${name}-${revision}",destination_version="${revision}",` +
    `destination_canonical_service="${name}",destination_canonical_revision="${revision}",` +
    `destination_instance="${quote(instance)}",davy_cohort="${cohort}",request_protocol="http",connection_security_policy="none"`
  );
}

function renderRequests(labels: string, code: string | number, flag: number, count: number, add: Add): void {
  const line = `istio_requests_total{${labels},response_code="${code}",response_flags="${FLAGS[flag]}"} ${count}`;
  add('istio_requests_total', 'counter', 'Requests by answer, as the client got it (0: none).', line);
}

function renderInstance(
  service: string,
  { version, instance, cohort, outcome, codes }: InstanceReport,
  add: Add,
): void {
  const labels = labelsOf(service, version, instance, cohort);
  for (const [key, count] of codes) renderRequests(labels, Math.floor(key / FLAG_RADIX), key % FLAG_RADIX, count, add);
  renderDurations('istio_request_duration_milliseconds', labels, outcome, add);
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
    const line = `${name}{${labels},response_code="${code}"} ${count}`;
    add(name, 'counter', 'Requests by caller, and by answer as the caller got it (0: none).', line);
  }
  renderDurations('davy_gateway_caller_request_duration_milliseconds', labels, outcome, add);
}

/** The gateway's own answers have no version: Istio reports such requests with an unknown destination workload. */
function renderOwn({ service, own, ownCodes, extras }: ServiceReport, add: Add): void {
  const labels = labelsOf(service, 'unknown', 'unknown', 'none');
  for (const [key, count] of ownCodes) {
    const [code = '0', flag = '0'] = key.split(' ');
    renderRequests(labels, code, Number(flag), count, add);
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
}

function quote(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
