import type { TrafficDoc } from '../../../src/server/routes/traffic.ts';
import { duration, ms, percent, rate } from '../format.ts';
import { fleet, nowMs } from '../live.ts';
import { Badge, Time } from '../parts.tsx';
import { callerDetail, callerTitle, type Flow, toneOf } from './layout.ts';

/** Younger than this counts as now. */
const RECENT_MS = 12_000;

/** Who calls whom: measured edges, then what is declared and was never seen. */
export function Callers({ traffic, wanted }: { traffic: TrafficDoc; wanted: string | null }) {
  const fits = (from: string | null, to: string): boolean => wanted === null || from === wanted || to === wanted;
  const edges = traffic.edges.filter(({ from, to }) => fits(from.kind === 'service' ? from.name : null, to));
  const unseen = traffic.calls.filter((call) => !call.seen && fits(call.from, call.to));
  if (edges.length + unseen.length === 0) return null;
  return (
    <div class="tablebox">
      <table class="numbers">
        <caption>Callers</caption>
        <thead>
          <tr>
            <th scope="col">caller</th>
            <th scope="col">calls</th>
            <th scope="col">requests</th>
            <th scope="col">errors</th>
            <th scope="col">p50</th>
            <th scope="col">p95</th>
            <th scope="col">p99</th>
            <th scope="col">last seen</th>
          </tr>
        </thead>
        <tbody>
          {edges.map((edge) => (
            <tr key={`${edge.from.kind} ${edge.from.name} ${edge.to}`}>
              <th scope="row">
                {edge.from.kind === 'service' ? <ServiceLink name={edge.from.name} /> : callerTitle(edge.from)}
                {edge.from.kind !== 'service' && <small class="muted"> {callerDetail(edge.from)}</small>}
              </th>
              <td class="text">
                <ServiceLink name={edge.to} />
              </td>
              <td>{rate(edge.perSecond)}</td>
              <Errors flow={edge} />
              <td>{ms(edge.p50Ms)}</td>
              <td>{ms(edge.p95Ms)}</td>
              <td>{ms(edge.p99Ms)}</td>
              <td>
                <LastSeen atMs={edge.lastAtMs} />
              </td>
            </tr>
          ))}
          {unseen.map(({ from, to }) => (
            <tr key={`declared ${from} ${to}`} class="muted">
              <th scope="row">
                <ServiceLink name={from} />
              </th>
              <td class="text">
                <ServiceLink name={to} />
              </td>
              <td colSpan={6} class="text">
                declared in the spec, not seen: it sent nothing, or does not say who it is
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What each version got. */
export function Versions({ traffic, wanted }: { traffic: TrafficDoc; wanted: string | null }) {
  const stable = new Map(fleet.value?.services.map((service) => [service.name, service.stable]));
  const services = traffic.services.filter(({ service }) => wanted === null || service === wanted);
  return (
    <div class="tablebox">
      <table class="numbers">
        <caption>Versions</caption>
        <thead>
          <tr>
            <th scope="col">service</th>
            <th scope="col">version</th>
            <th scope="col">requests</th>
            <th scope="col">share</th>
            <th scope="col">errors</th>
            <th scope="col">p50</th>
            <th scope="col">p95</th>
            <th scope="col">p99</th>
          </tr>
        </thead>
        <tbody>
          {services.flatMap((service) =>
            service.versions.map((version) => (
              <tr key={`${service.service} ${version.version}`}>
                <th scope="row">
                  <ServiceLink name={service.service} />
                </th>
                <td class="text">
                  {version.version}
                  {stable.get(service.service) === version.version && <span class="muted"> stable</span>}
                </td>
                <td>{rate(version.perSecond)}</td>
                <td>{percent(version.weightedShare)}</td>
                <Errors flow={version} />
                <td>{ms(version.p50Ms)}</td>
                <td>{ms(version.p95Ms)}</td>
                <td>{ms(version.p99Ms)}</td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </div>
  );
}

function ServiceLink({ name }: { name: string }) {
  return <a href={`/topology?service=${encodeURIComponent(name)}`}>{name}</a>;
}

function Errors({ flow }: { flow: Pick<Flow, 'errorShare'> }) {
  const text = percent(flow.errorShare);
  return <td>{toneOf(flow) === 'bad' ? <Badge tone="bad">{text}</Badge> : text}</td>;
}

function LastSeen({ atMs }: { atMs: number }) {
  const ageMs = nowMs.value - atMs;
  if (ageMs < RECENT_MS) return <>now</>;
  return (
    <>
      <Time at={atMs} /> <span class="muted">({duration(ageMs)} ago)</span>
    </>
  );
}
