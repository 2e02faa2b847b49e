import dagre from '@dagrejs/dagre';
import { useEffect, useState } from 'preact/hooks';
import type { TrafficDoc } from '../../../src/server/routes/traffic.ts';
import { get, type Problem, problemOf } from '../api.ts';
import { ms, percent, rate } from '../format.ts';
import { fleet, nowMs } from '../live.ts';
import { Badge, Empty, Time, type Tone, Ways } from '../parts.tsx';
import { query } from '../route.ts';

const POLL_MS = 2_000;
const NODE = { width: 190, height: 62 };
/** A service with more errors than this is drawn as in trouble. */
const BAD_SHARE = 0.01;
const MAX_SERVICES = 60;

interface Flow {
  perSecond: number;
  errorShare: number | null;
  p95Ms: number | null;
}

interface Node {
  id: string;
  title: string;
  detail: string;
  tone: Tone;
  x: number;
  y: number;
}

interface Edge {
  id: string;
  points: { x: number; y: number }[];
  /** Null: declared, not measured by caller. */
  flow: Flow | null;
}

/** Who receives what, from the gateway's own counts. */
export function Topology() {
  const [traffic, setTraffic] = useState<TrafficDoc | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    const load = (): void => {
      if (document.hidden) return;
      get<TrafficDoc>('/api/v1/traffic').then(
        (next) => {
          setTraffic(next);
          setProblem(null);
        },
        (error) => setProblem(problemOf(error)),
      );
    };
    load();
    const timer = setInterval(load, POLL_MS);
    return () => clearInterval(timer);
  }, []);
  const wanted = query.value.get('service');
  const sentence = problem?.sentence ?? traffic?.problem;
  return (
    <div class="topology">
      <h1>Topology</h1>
      <p class="muted">
        {traffic && traffic.windowMs > 0 && traffic.atMs !== null ? (
          <>
            Measured by the gateway over {Math.round(traffic.windowMs / 1000)} s until <Time at={traffic.atMs} />
            {nowMs.value - traffic.atMs > 10_000 && ' — old'}. Solid lines are measured; dashed ones are declared: the
            gateway counts what a service receives, not who sent it.
          </>
        ) : (
          'The first rates come with the second reading …'
        )}
      </p>
      {sentence && (
        <p class="problem" role="alert">
          {sentence}
        </p>
      )}
      {wanted && (
        <p>
          Only {wanted} and its neighbours. <a href="/topology">Show all</a>
        </p>
      )}
      {traffic && traffic.services.length > 0 && <Graph traffic={traffic} wanted={wanted} />}
      {traffic && <Table traffic={traffic} />}
      <Ways cli="status" api="/api/v1/traffic" />
    </div>
  );
}

function Graph({ traffic, wanted }: { traffic: TrafficDoc; wanted: string | null }) {
  const names = chosen(traffic, wanted);
  if (names.length === 0) return <Empty title="No such service receives traffic." />;
  const { nodes, edges, width, height } = layout(traffic, names);
  return (
    <section
      class="graph"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard
      tabIndex={0}
      aria-label="Graph of services and versions; the table below says the same"
    >
      <svg style={{ maxWidth: `${width}px` }} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
        {edges.map((edge) => (
          <Line key={edge.id} edge={edge} />
        ))}
        {nodes.map((node) => (
          <g
            key={node.id}
            class={`node ${node.tone}`}
            transform={`translate(${node.x - NODE.width / 2} ${node.y - NODE.height / 2})`}
          >
            <rect width={NODE.width} height={NODE.height} rx="8" />
            <text x="12" y="25" class="title">
              {clip(node.title)}
            </text>
            <text x="12" y="46">
              {clip(node.detail)}
            </text>
          </g>
        ))}
      </svg>
    </section>
  );
}

function clip(text: string): string {
  return text.length > 27 ? `${text.slice(0, 26)}…` : text;
}

/** Dots travel along a measured edge: more of them, and faster, with more requests. Still where motion is not wanted. */
function Line({ edge }: { edge: Edge }) {
  const [first, ...rest] = edge.points;
  if (!first) return null;
  const d = `M${first.x} ${first.y}${rest.map((p) => `L${p.x} ${p.y}`).join('')}`;
  const end = edge.points.at(-1) ?? first;
  const perSecond = edge.flow?.perSecond ?? 0;
  const bad = (edge.flow?.errorShare ?? 0) > BAD_SHARE;
  const dots = perSecond <= 0 ? 0 : Math.min(6, 1 + Math.round(Math.log10(1 + perSecond) * 2));
  const seconds = Math.max(0.8, 4 - Math.log10(1 + perSecond));
  return (
    <g class={edge.flow ? (bad ? 'edge bad' : 'edge') : 'edge declared'}>
      <path d={d} />
      {Array.from({ length: dots }, (_, i) => (
        <circle key={i} r="3">
          <animateMotion
            dur={`${seconds}s`}
            begin={`${(-seconds * i) / dots}s`}
            repeatCount="indefinite"
            {...{ path: d }}
          />
        </circle>
      ))}
      {edge.flow && (
        <text x={end.x - 8} y={end.y - 8} text-anchor="end">
          {rate(perSecond)} · {percent(edge.flow.errorShare)} · p95 {ms(edge.flow.p95Ms)}
        </text>
      )}
    </g>
  );
}

function chosen(traffic: TrafficDoc, wanted: string | null): string[] {
  const all = traffic.services.map((service) => service.service);
  if (wanted === null) return all.slice(0, MAX_SERVICES);
  const near = traffic.calls.flatMap(({ from, to }) => (from === wanted ? [to] : to === wanted ? [from] : []));
  return all.filter((name) => name === wanted || near.includes(name));
}

function layout(traffic: TrafficDoc, names: string[]) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'LR', ranksep: 170, nodesep: 26, marginx: 10, marginy: 24 });
  graph.setDefaultEdgeLabel(() => ({}));
  const about = new Map<string, { title: string; detail: string; tone: Tone }>();
  const flows = new Map<string, Flow | null>();
  const node = (id: string, title: string, detail: string, tone: Tone): void => {
    about.set(id, { title, detail, tone });
    graph.setNode(id, { ...NODE });
  };
  const edge = (from: string, to: string, flow: Flow | null): void => {
    flows.set(`${from}\n${to}`, flow);
    graph.setEdge(from, to);
  };
  const called = new Set(traffic.calls.map((call) => call.to));
  for (const service of traffic.services) {
    if (!names.includes(service.service)) continue;
    const id = `service ${service.service}`;
    node(id, service.service, flowText(service), toneOf(service));
    if (!called.has(service.service)) {
      node('callers', 'callers', 'clients of the gateway', 'quiet');
      edge('callers', id, service);
    }
    for (const version of service.versions) {
      if (version.perSecond === 0 && service.perSecond > 0) continue;
      const share = version.weightedShare === null ? '' : ` · ${percent(version.weightedShare)}`;
      node(
        `${id} ${version.version}`,
        `${version.version}${share}`,
        `${version.instances.length} instances`,
        toneOf(version),
      );
      edge(id, `${id} ${version.version}`, version);
    }
  }
  for (const { from, to } of traffic.calls) {
    if (names.includes(from) && names.includes(to)) edge(`service ${from}`, `service ${to}`, null);
  }
  dagre.layout(graph);
  const size = graph.graph();
  return {
    width: Math.ceil(size.width ?? 0),
    height: Math.ceil(size.height ?? 0),
    nodes: [...about].map(([id, what]): Node => ({ id, ...what, x: graph.node(id).x, y: graph.node(id).y })),
    edges: [...flows].map(([id, flow]): Edge => {
      const [from = '', to = ''] = id.split('\n');
      return { id, flow, points: graph.edge(from, to).points };
    }),
  };
}

function flowText(flow: Flow): string {
  return `${rate(flow.perSecond)} · ${percent(flow.errorShare)} errors`;
}

function toneOf(flow: Flow): Tone {
  if (flow.errorShare === null) return 'quiet';
  return flow.errorShare > BAD_SHARE ? 'bad' : 'good';
}

function Table({ traffic }: { traffic: TrafficDoc }) {
  const stable = new Map(fleet.value?.services.map((service) => [service.name, service.stable]));
  return (
    <div class="tablebox">
      <table class="numbers">
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
          {traffic.services.flatMap((service) =>
            service.versions.map((version) => (
              <tr key={`${service.service} ${version.version}`}>
                <th scope="row">{service.service}</th>
                <td>
                  {version.version}
                  {stable.get(service.service) === version.version && <span class="muted"> stable</span>}
                </td>
                <td>{rate(version.perSecond)}</td>
                <td>{percent(version.weightedShare)}</td>
                <td>
                  {toneOf(version) === 'bad' ? (
                    <Badge tone="bad">{percent(version.errorShare)}</Badge>
                  ) : (
                    percent(version.errorShare)
                  )}
                </td>
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
