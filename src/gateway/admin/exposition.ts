import type { Engine } from '../engine.ts';
import type { ServiceState } from '../route/service-state.ts';
import { FLAGS } from '../stats/flags.ts';
import type { InstanceStats } from '../stats/instance-stats.ts';

/**
 * The counters in Prometheus' text format under Istio's names and labels, so that queries, dashboards and alerts written
 * for a mesh work here. Label values come from the table and from fixed lists: their number is bounded.
 */
export function renderExposition(engine: Engine): string {
  const requests: string[] = [];
  const durations: string[] = [];
  const own: string[] = [];
  const inFlight: string[] = [];
  for (const state of engine.states.values()) {
    for (const stats of state.allStats()) {
      if (stats.outcome.requests === 0) continue;
      renderRequests(state, stats, requests);
      renderDurations(state, stats, durations);
    }
    renderOwn(state, requests, own);
    for (const endpoint of state.allEndpoints()) {
      const labels = `service="${quote(state.service)}",instance="${quote(endpoint.id)}"`;
      inFlight.push(`davy_gateway_requests_in_flight{${labels}} ${endpoint.inFlight}`);
      inFlight.push(`davy_gateway_upstream_connections{${labels}} ${endpoint.open}`);
    }
  }
  return [
    ...block('istio_requests_total', 'counter', 'Requests by answer, as the client got it.', requests),
    ...block(
      'istio_request_duration_milliseconds',
      'histogram',
      'Time from the whole request to the whole answer.',
      durations,
    ),
    ...block('davy_gateway_own_answers_total', 'counter', 'Answers the gateway made itself, by cause.', own),
    ...block(
      'davy_gateway_requests_in_flight',
      'gauge',
      'Requests in progress.',
      inFlight.filter((_, i) => i % 2 === 0),
    ),
    ...block(
      'davy_gateway_upstream_connections',
      'gauge',
      'Open connections, idle ones included.',
      inFlight.filter((_, i) => i % 2 === 1),
    ),
    '',
  ].join('\n');
}

function block(name: string, type: string, help: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines];
}

function labelsOf(service: string, version: string, instance: string, cohort: string): string {
  const name = quote(service);
  return (
    `reporter="destination",source_workload="unknown",source_app="unknown",destination_service="${name}",` +
    `destination_service_name="${name}",destination_service_namespace="default",destination_app="${name}",` +
    `destination_workload="${name}-${quote(version)}",destination_version="${quote(version)}",` +
    `destination_canonical_service="${name}",destination_canonical_revision="${quote(version)}",` +
    `destination_instance="${quote(instance)}",davy_cohort="${cohort}",request_protocol="http",connection_security_policy="none"`
  );
}

function renderRequests(state: ServiceState, stats: InstanceStats, lines: string[]): void {
  const labels = labelsOf(state.service, stats.version, stats.instance, stats.cohort);
  for (const [key, count] of stats.codes) {
    const code = Math.floor(key / FLAGS.length);
    lines.push(
      `istio_requests_total{${labels},response_code="${code}",response_flags="${FLAGS[key % FLAGS.length]}"} ${count}`,
    );
  }
}

function renderDurations(state: ServiceState, stats: InstanceStats, lines: string[]): void {
  const labels = labelsOf(state.service, stats.version, stats.instance, stats.cohort);
  const name = 'istio_request_duration_milliseconds';
  let below = 0;
  stats.outcome.edges.forEach((edge, i) => {
    below += stats.outcome.bins[i]!;
    lines.push(`${name}_bucket{${labels},le="${edge}"} ${below}`);
  });
  lines.push(`${name}_bucket{${labels},le="+Inf"} ${stats.outcome.requests}`);
  lines.push(
    `${name}_sum{${labels}} ${stats.outcome.durationMsSum}`,
    `${name}_count{${labels}} ${stats.outcome.requests}`,
  );
}

/** The gateway's own answers have no version: Istio reports such requests with an unknown destination workload. */
function renderOwn(state: ServiceState, requests: string[], own: string[]): void {
  const labels = labelsOf(state.service, 'unknown', 'unknown', 'none');
  for (const [key, count] of state.ownCodes) {
    const [code, flag] = key.split(' ');
    requests.push(
      `istio_requests_total{${labels},response_code="${code}",response_flags="${FLAGS[Number(flag)]}"} ${count}`,
    );
  }
  for (const [cause, count] of Object.entries(state.own)) {
    own.push(`davy_gateway_own_answers_total{service="${quote(state.service)}",cause="${cause}"} ${count}`);
  }
}

function quote(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
