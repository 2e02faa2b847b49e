import dagre from '@dagrejs/dagre';
import type { TrafficDoc } from '../../../src/server/routes/traffic.ts';
import { percent, rate } from '../format.ts';
import type { Tone } from '../parts.tsx';

/** Where nodes and lines of the graph stand. */

export const NODE = { width: 190, height: 62 };
const LABEL = { width: 150, height: 18 };
/** More errors than this are drawn as trouble. */
const BAD_SHARE = 0.01;
/** Services drawn at once; the table lists all. */
export const MAX_SERVICES = 60;

export interface Flow {
  perSecond: number;
  errorShare: number | null;
  p95Ms: number | null;
}

export interface Node {
  id: string;
  title: string;
  detail: string;
  tone: Tone;
  /** The service to look at alone; null for what is none. */
  service: string | null;
  x: number;
  y: number;
}

export interface Edge {
  id: string;
  points: { x: number; y: number }[];
  /** The middle of the place kept free for its label. */
  label: { x: number; y: number };
  /** Null: declared, not measured. */
  flow: Flow | null;
}

export interface Picture {
  nodes: Node[];
  edges: Edge[];
  width: number;
  height: number;
}

type Measured = TrafficDoc['edges'][number];

/** What a caller is called on the page. */
export function callerTitle({ kind, name }: Measured['from']): string {
  if (kind === 'service') return name;
  return kind === 'external' ? 'outside' : 'unknown names';
}

export function callerDetail({ kind }: Measured['from']): string {
  if (kind === 'service') return '';
  return kind === 'external' ? 'clients that give no name' : 'no service of the spec';
}

export function toneOf(flow: Pick<Flow, 'errorShare'>): Tone {
  if (flow.errorShare === null) return 'quiet';
  return flow.errorShare > BAD_SHARE ? 'bad' : 'good';
}

/** All services, or one with its neighbours. */
function chosen(traffic: TrafficDoc, wanted: string | null): Set<string> {
  const all = traffic.services.map((service) => service.service);
  if (wanted === null) return new Set(all.slice(0, MAX_SERVICES));
  const calls = [
    ...traffic.calls,
    ...traffic.edges.flatMap(({ from, to }) => (from.kind === 'service' ? [{ from: from.name, to }] : [])),
  ];
  const near = calls.flatMap(({ from, to }) => (from === wanted ? [to] : to === wanted ? [from] : []));
  return new Set(all.filter((name) => name === wanted || near.includes(name)));
}

/** Null when nothing fits. */
export function pictureOf(traffic: TrafficDoc, wanted: string | null): Picture | null {
  const names = chosen(traffic, wanted);
  if (names.size === 0) return null;
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'LR', ranksep: 40, nodesep: 26, edgesep: 14, marginx: 10, marginy: 24 });
  graph.setDefaultEdgeLabel(() => ({}));
  const about = new Map<string, Omit<Node, 'id' | 'x' | 'y'>>();
  const flows = new Map<string, Flow | null>();
  const node = (id: string, what: Omit<Node, 'id' | 'x' | 'y'>): void => {
    about.set(id, what);
    graph.setNode(id, { ...NODE });
  };
  const edge = (from: string, to: string, flow: Flow | null): void => {
    flows.set(`${from}\n${to}`, flow);
    graph.setEdge(from, to, { ...LABEL, labelpos: 'c' });
  };
  for (const service of traffic.services) {
    if (names.has(service.service)) addService(service, node, edge);
  }
  for (const measured of traffic.edges) {
    const { from, to } = measured;
    if (!names.has(to)) continue;
    if (from.kind === 'service' && !names.has(from.name)) continue;
    // A caller that is none of the services is drawn once, however many services it calls.
    const id = from.kind === 'service' ? serviceId(from.name) : from.kind;
    if (from.kind !== 'service') {
      node(id, { title: callerTitle(from), detail: callerDetail(from), tone: 'quiet', service: null });
    }
    edge(id, serviceId(to), measured);
  }
  for (const { from, to, seen } of traffic.calls) {
    if (!seen && names.has(from) && names.has(to)) edge(serviceId(from), serviceId(to), null);
  }
  dagre.layout(graph);
  const size = graph.graph();
  return {
    width: Math.ceil(size.width ?? 0),
    height: Math.ceil(size.height ?? 0),
    nodes: [...about].map(([id, what]): Node => ({ id, ...what, x: graph.node(id).x, y: graph.node(id).y })),
    edges: [...flows].map(([id, flow]): Edge => {
      const [from = '', to = ''] = id.split('\n');
      const { points, x, y } = graph.edge(from, to);
      return { id, flow, points, label: { x, y } };
    }),
  };
}

function serviceId(name: string): string {
  return `service ${name}`;
}

function addService(
  service: TrafficDoc['services'][number],
  node: (id: string, what: Omit<Node, 'id' | 'x' | 'y'>) => void,
  edge: (from: string, to: string, flow: Flow | null) => void,
): void {
  const id = serviceId(service.service);
  const { perSecond, errorShare } = service;
  const detail = errorShare === null ? 'no requests now' : `${rate(perSecond)} · ${percent(errorShare)} errors`;
  node(id, { title: service.service, detail, tone: toneOf(service), service: service.service });
  for (const version of service.versions) {
    if (version.perSecond === 0 && service.perSecond > 0) continue;
    const share = version.weightedShare === null ? '' : ` · ${percent(version.weightedShare)}`;
    const count = version.instances.length;
    node(`${id} ${version.version}`, {
      title: `${version.version}${share}`,
      detail: `${count} ${count === 1 ? 'instance' : 'instances'}`,
      tone: toneOf(version),
      service: null,
    });
    edge(id, `${id} ${version.version}`, version);
  }
}
