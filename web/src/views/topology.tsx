import { useEffect, useState } from 'preact/hooks';
import type { TrafficDoc } from '../../../src/server/routes/traffic.ts';
import { get, type Problem, problemOf } from '../api.ts';
import { nowMs } from '../live.ts';
import { Empty, Time, Ways } from '../parts.tsx';
import { query } from '../route.ts';
import { Graph } from '../topology/graph.tsx';
import { MAX_SERVICES, pictureOf } from '../topology/layout.ts';
import { Callers, Versions } from '../topology/tables.tsx';

const POLL_MS = 2_000;
const OLD_MS = 10_000;

/** Who calls whom and who answers, from the gateway's own counts. */
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
      <Measured traffic={traffic} />
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
      {traffic && traffic.services.length > 0 && <Shown traffic={traffic} wanted={wanted} />}
      <Ways cli="status" api="/api/v1/traffic" />
    </div>
  );
}

function Measured({ traffic }: { traffic: TrafficDoc | null }) {
  if (!traffic || traffic.windowMs <= 0 || traffic.atMs === null) {
    return <p class="muted">The first rates come with the second reading …</p>;
  }
  return (
    <p class="muted">
      Measured by the gateway over {Math.round(traffic.windowMs / 1000)} s until <Time at={traffic.atMs} />
      {nowMs.value - traffic.atMs > OLD_MS && ' — old'}. Solid lines are measured: <span aria-hidden="true">✓</span> up
      to 1 % errors, <span aria-hidden="true">✗</span> more. Dashed ones are declared in the spec and were not seen.
    </p>
  );
}

function Shown({ traffic, wanted }: { traffic: TrafficDoc; wanted: string | null }) {
  const picture = pictureOf(traffic, wanted);
  if (!picture) return <Empty title="No such service receives traffic." />;
  return (
    <>
      <Graph picture={picture} />
      {wanted === null && traffic.services.length > MAX_SERVICES && (
        <p class="muted">
          The first {MAX_SERVICES} of {traffic.services.length} services are drawn; a service in the table shows its
          own.
        </p>
      )}
      <Callers traffic={traffic} wanted={wanted} />
      <Versions traffic={traffic} wanted={wanted} />
    </>
  );
}
