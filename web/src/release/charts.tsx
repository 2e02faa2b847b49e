import type { ObservationsDoc } from '../../../src/server/routes/history.ts';
import type { ReleaseDoc } from '../../../src/server/schemas.ts';
import { Chart, type Line } from '../chart.tsx';
import { count, evidence as evidenceText, ms, percent, weight } from '../format.ts';
import { past } from '../live.ts';
import { Badge, Card, ShareBar } from '../parts.tsx';
import { isInFlight } from '../words.ts';

type Seen = ObservationsDoc | null;
type Point = ObservationsDoc['points'][number];

/** Looks are short and rates of few requests jump: a trend is drawn over so many points. */
const SMOOTH_POINTS = 5;
/** Requests that were under way when the weight changed are counted at the new step. */
const SWITCH_SHARE = 0.01;

function timesOf(points: Point[]): number[] {
  return points.map((point) => point.atMs / 1000);
}

/** Share over the last points of the same step; null where nothing was counted. */
function trend(points: Point[], part: (point: Point) => number, whole: (point: Point) => number): (number | null)[] {
  return points.map((point, index) => {
    let a = 0;
    let b = 0;
    for (let i = index; i >= 0 && i > index - SMOOTH_POINTS && points[i]?.step === point.step; i--) {
      a += part(points[i] as Point);
      b += whole(points[i] as Point);
    }
    return b > 0 ? a / b : null;
  });
}

function NoLooks() {
  return <p class="muted">No look yet: charts begin with the first measured traffic.</p>;
}

/** Decided share and measured share of the weighted traffic, with the range that chance allows. */
export function Split({ release, seen }: { release: ReleaseDoc; seen: Seen }) {
  const points = seen?.points ?? [];
  const step = release.counts.at(-1);
  const all = step ? step.canaryRequests + step.stableRequests : 0;
  const measured = step && all > 0 ? step.canaryRequests / all : null;
  const decided = isInFlight(release) ? release.weightBp / 10_000 : (step?.weightBp ?? 0) / 10_000;
  const margin = all > 0 ? 1.96 * Math.sqrt((decided * (1 - decided)) / all) : null;
  const within = measured !== null && margin !== null && Math.abs(measured - decided) <= Math.max(margin, SWITCH_SHARE);
  const lines: Line[] = [
    { label: 'decided', color: '--muted', dash: [6, 4], stepped: true, values: points.map((p) => p.weightBp / 10_000) },
    {
      label: 'measured',
      color: '--canary',
      values: trend(
        points,
        (p) => p.canary.requests,
        (p) => p.canary.requests + p.stable.requests,
      ),
    },
  ];
  return (
    <Card
      title="Traffic split"
      aside={
        measured !== null &&
        (within ? <Badge tone="good">as decided</Badge> : <Badge tone="warn">outside the 95 % range</Badge>)
      }
    >
      <p class="figures">
        <span>
          <b>{percent(measured, 2)}</b> measured {isInFlight(release) ? 'at this step' : 'at the last step'}
        </span>
        <span>
          <b>{percent(decided, 2)}</b> decided{margin !== null && <> ± {percent(margin, 1)} by chance</>}
        </span>
        {!past.value && isInFlight(release) && (
          <span>
            <b>{weight(release.effectiveWeightBp)}</b> in force at the data plane
          </span>
        )}
      </p>
      <ShareBar
        measured={measured}
        intended={decided}
        label={`${percent(measured, 2)} measured, ${percent(decided, 2)} decided`}
      />
      {points.length === 0 ? (
        <NoLooks />
      ) : (
        <Chart
          times={timesOf(points)}
          lines={lines}
          format={(v) => percent(v)}
          max={1}
          summary={`Canary share over time: ${percent(decided, 2)} decided, ${percent(measured, 2)} measured.`}
        />
      )}
    </Card>
  );
}

export function ErrorTrend({ release, seen }: { release: ReleaseDoc; seen: Seen }) {
  const points = seen?.points ?? [];
  const step = release.counts.at(-1);
  const limit = seen?.limits[points.at(-1)?.step ?? 0]?.errorShare ?? null;
  const canary = step && step.canaryRequests > 0 ? step.canaryErrors / step.canaryRequests : null;
  const stable = step && step.stableRequests > 0 ? step.stableErrors / step.stableRequests : null;
  const broken = limit !== null && canary !== null && canary > limit;
  const lines: Line[] = [
    {
      label: release.version,
      color: '--canary',
      values: trend(
        points,
        (p) => p.canary.errors,
        (p) => p.canary.requests,
      ),
    },
    {
      label: release.from,
      color: '--stable',
      values: trend(
        points,
        (p) => p.stable.errors,
        (p) => p.stable.requests,
      ),
    },
    {
      label: 'limit',
      color: '--bad',
      dash: [6, 4],
      stepped: true,
      width: 1.5,
      values: points.map((point) => seen?.limits[point.step]?.errorShare ?? null),
    },
  ];
  return (
    <Card
      title="Errors"
      aside={
        limit !== null &&
        canary !== null &&
        (broken ? <Badge tone="bad">over its limit</Badge> : <Badge tone="good">under its limit</Badge>)
      }
    >
      <p class="figures">
        <span class="is-canary">
          <b>{percent(canary, 2)}</b> {release.version} (canary)
        </span>
        <span class="is-stable">
          <b>{percent(stable, 2)}</b> {release.from} (stable)
        </span>
        <span>
          <b>{percent(limit, 2)}</b> limit
        </span>
      </p>
      {points.length === 0 ? (
        <NoLooks />
      ) : (
        <Chart
          times={timesOf(points)}
          lines={lines}
          format={(v) => percent(v)}
          summary={`Error rate: canary ${percent(canary, 2)}, stable ${percent(stable, 2)}, limit ${percent(limit, 2)}.`}
        />
      )}
    </Card>
  );
}

/** The two distributions over the same bins, and their quantiles against the limits. */
export function Latency({ release, seen }: { release: ReleaseDoc; seen: Seen }) {
  const latency = seen?.latency;
  const limits = seen?.limits[seen.points.at(-1)?.step ?? 0]?.latency ?? [];
  const limitOf = (quantile: number): number | null => limits.find((one) => one.quantile === quantile)?.underMs ?? null;
  if (!latency || latency.canary.requests + latency.stable.requests === 0) {
    return (
      <Card title="Latency">
        <NoLooks />
      </Card>
    );
  }
  const rows = [
    { name: 'p50', canary: latency.canary.p50Ms, stable: latency.stable.p50Ms, limit: limitOf(0.5) },
    { name: 'p75', canary: latency.canary.p75Ms, stable: latency.stable.p75Ms, limit: limitOf(0.75) },
    { name: 'p95', canary: latency.canary.p95Ms, stable: latency.stable.p95Ms, limit: limitOf(0.95) },
    { name: 'p99', canary: latency.canary.p99Ms, stable: latency.stable.p99Ms, limit: limitOf(0.99) },
  ];
  const broken = rows.some((row) => row.limit !== null && row.canary !== null && row.canary > row.limit);
  return (
    <Card
      title="Latency"
      aside={
        limits.length > 0 &&
        (broken ? <Badge tone="bad">over its limit</Badge> : <Badge tone="good">under its limit</Badge>)
      }
    >
      <Histogram latency={latency} canary={release.version} stable={release.from} />
      <div class="tablebox">
        <table class="numbers">
          <thead>
            <tr>
              <th scope="col">quantile</th>
              <th scope="col" class="is-canary">
                {release.version}
              </th>
              <th scope="col" class="is-stable">
                {release.from}
              </th>
              <th scope="col">limit</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.name}>
                <th scope="row">{row.name}</th>
                <td>{ms(row.canary)}</td>
                <td>{ms(row.stable)}</td>
                <td>{row.limit === null ? '–' : `< ${ms(row.limit)}`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="muted">
        At the last step: {count(latency.canary.requests)} canary and {count(latency.stable.requests)} stable requests.
      </p>
    </Card>
  );
}

type LatencyDoc = ObservationsDoc['latency'];

function binsOf(latency: LatencyDoc, arm: 'canary' | 'stable'): number[] {
  const { requests, over } = latency[arm];
  if (requests === 0) return [...latency.edgesMs.map(() => 0), 0];
  const counts = latency.edgesMs.map((_edge, i) => (i === 0 ? requests : (over[i - 1] ?? 0)) - (over[i] ?? 0));
  return [...counts, over.at(-1) ?? 0].map((n) => n / requests);
}

function Histogram({ latency, canary, stable }: { latency: LatencyDoc; canary: string; stable: string }) {
  const bins = { canary: binsOf(latency, 'canary'), stable: binsOf(latency, 'stable') };
  const used = bins.canary.map((share, i) => share > 0 || (bins.stable[i] ?? 0) > 0);
  const first = Math.max(0, used.indexOf(true) - 1);
  const last = Math.min(used.length - 1, used.lastIndexOf(true) + 1);
  const top = Math.max(...bins.canary, ...bins.stable, 1e-9);
  const shown = bins.canary.slice(first, last + 1).map((_share, i) => first + i);
  const width = 100 / shown.length;
  const labelEvery = Math.ceil(shown.length / 6);
  return (
    <figure
      class="histogram"
      role="img"
      aria-label={`Latency distribution: ${canary} p95 ${ms(latency.canary.p95Ms)}, ${stable} p95 ${ms(latency.stable.p95Ms)}.`}
    >
      <svg viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">
        {shown.map((bin, i) => (
          <g key={bin}>
            <Bar x={i * width + width * 0.08} width={width * 0.4} share={(bins.stable[bin] ?? 0) / top} name="stable" />
            <Bar x={i * width + width * 0.52} width={width * 0.4} share={(bins.canary[bin] ?? 0) / top} name="canary" />
          </g>
        ))}
      </svg>
      <figcaption>
        {shown
          .filter((_bin, i) => i % labelEvery === 0)
          .map((bin) => (
            <span key={bin}>{bin < latency.edgesMs.length ? `≤${ms(latency.edgesMs[bin] ?? 0)}` : 'more'}</span>
          ))}
      </figcaption>
    </figure>
  );
}

function Bar({ x, width, share, name }: { x: number; width: number; share: number; name: string }) {
  return <rect class={name} x={x} width={width} y={40 - share * 38} height={share * 38} />;
}

/** Evidence of harm against the threshold that rolls back; a logarithmic scale, because evidence multiplies. */
export function EvidenceTrend({ seen }: { seen: Seen }) {
  const points = seen?.points ?? [];
  const last = points.at(-1);
  const floor = (value: number): number => Math.min(1e9, Math.max(1e-3, value));
  const names = last?.metrics.map((metric) => metric.name) ?? [];
  const palette = ['--canary', '--stable', '--warn', '--good', '--muted'];
  const lines: Line[] = [
    { label: 'all together', color: '--text', width: 2.5, values: points.map((p) => floor(p.evidence)) },
    {
      label: 'rolls back at',
      color: '--bad',
      dash: [6, 4],
      stepped: true,
      values: points.map((p) => floor(p.threshold)),
    },
    ...names.slice(0, 5).map((name, i) => ({
      label: name,
      color: palette[i] ?? '--muted',
      width: 1.2,
      values: points.map((p) => {
        const value = p.metrics.find((metric) => metric.name === name)?.evidence;
        return value === undefined ? null : floor(value);
      }),
    })),
  ];
  return (
    <Card title="Evidence of harm">
      {!last ? (
        <NoLooks />
      ) : (
        <>
          <p class="figures">
            <span>
              <b>{evidenceText(last.evidence)}</b> now
            </span>
            <span>
              <b>{evidenceText(last.threshold)}</b> rolls back
            </span>
          </p>
          <Chart
            times={timesOf(points)}
            lines={lines}
            log
            height={210}
            format={(v) => (v >= 1000 ? v.toExponential(0) : String(Number(v.toPrecision(2))))}
            summary={`Evidence of harm ${evidenceText(last.evidence)}; it rolls back at ${evidenceText(last.threshold)}.`}
          />
        </>
      )}
    </Card>
  );
}
