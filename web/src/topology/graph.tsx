import { ms, percent, rate } from '../format.ts';
import { go } from '../route.ts';
import { type Edge, NODE, type Node, type Picture, toneOf } from './layout.ts';

/** Narrower than this the picture scrolls instead of shrinking. */
const READABLE_PX = 900;

/** The drawn graph. The tables below it say the same, with links that keys can follow. */
export function Graph({ picture }: { picture: Picture }) {
  const { nodes, edges, width, height } = picture;
  return (
    <section
      class="graph"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard
      tabIndex={0}
      aria-label="Graph of callers, services and versions; the tables below say the same"
    >
      <svg
        style={{ width: `${width}px`, minWidth: `${Math.min(width, READABLE_PX)}px` }}
        viewBox={`0 0 ${width} ${height}`}
        aria-hidden="true"
      >
        {edges.map((edge) => (
          <Line key={edge.id} edge={edge} />
        ))}
        {edges.map((edge) => (
          <Label key={edge.id} edge={edge} />
        ))}
        {nodes.map((node) => (
          <Box key={node.id} node={node} />
        ))}
      </svg>
    </section>
  );
}

function Box({ node }: { node: Node }) {
  const { service } = node;
  const open = service === null ? undefined : () => go(`/topology?service=${encodeURIComponent(service)}`);
  return (
    <g
      class={`node ${node.tone}${open ? ' opens' : ''}`}
      transform={`translate(${node.x - NODE.width / 2} ${node.y - NODE.height / 2})`}
      {...(open ? { onClick: open } : {})}
    >
      <rect width={NODE.width} height={NODE.height} rx="8" />
      <text x="12" y="25" class="title">
        {clip(node.title)}
      </text>
      <text x="12" y="46">
        {clip(node.detail)}
      </text>
    </g>
  );
}

function clip(text: string): string {
  return text.length > 27 ? `${text.slice(0, 26)}…` : text;
}

const LABEL_ABOVE_PX = 6;
const SIGNS: Record<string, string> = { good: '✓ ', bad: '✗ ' };

/** Dots travel along a measured edge: more of them, and faster, with more requests. Still where motion is not wanted. */
function Line({ edge }: { edge: Edge }) {
  const [first, ...rest] = edge.points;
  if (!first) return null;
  const d = `M${first.x} ${first.y}${rest.map((p) => `L${p.x} ${p.y}`).join('')}`;
  const perSecond = edge.flow?.perSecond ?? 0;
  const dots = perSecond <= 0 ? 0 : Math.min(6, 1 + Math.round(Math.log10(1 + perSecond) * 2));
  const seconds = Math.max(0.8, 4 - Math.log10(1 + perSecond));
  return (
    <g class={`edge ${kindOf(edge.flow)}`}>
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
    </g>
  );
}

/** Over all lines, so that none crosses it out. */
function Label({ edge }: { edge: Edge }) {
  const { flow, label } = edge;
  return (
    <g class={`edge ${kindOf(flow)}`}>
      <text x={label.x} y={label.y - LABEL_ABOVE_PX} text-anchor="middle">
        {flow === null ? 'declared, not seen' : flowText(flow)}
      </text>
    </g>
  );
}

function kindOf(flow: Edge['flow']): string {
  if (flow === null) return 'declared';
  return flow.perSecond <= 0 ? 'silent' : toneOf(flow);
}

function flowText(flow: NonNullable<Edge['flow']>): string {
  if (flow.perSecond <= 0) return 'nothing now';
  const errors = (flow.errorShare ?? 0) > 0 ? ` · ${percent(flow.errorShare)}` : '';
  return `${SIGNS[toneOf(flow)] ?? ''}${rate(flow.perSecond)}${errors} · p95 ${ms(flow.p95Ms)}`;
}
