import { useEffect, useState } from 'preact/hooks';
import { explainRelease } from '../../../src/release/explain.ts';
import type { ObservationsDoc } from '../../../src/server/routes/history.ts';
import type { ReleaseDoc } from '../../../src/server/schemas.ts';
import { get, type Problem, problemOf } from '../api.ts';
import { count, duration, percent, weight } from '../format.ts';
import { arrived, fleet, nowMs, past, receivedAtMs, releases } from '../live.ts';
import { Badge, Card, Empty, Fact, Facts, Time, Ways } from '../parts.tsx';
import { Actions } from '../release/actions.tsx';
import { ErrorTrend, EvidenceTrend, Latency, Split } from '../release/charts.tsx';
import { isInFlight, remainingMs, stateOf, verdictTone } from '../words.ts';

/** One release: where it stands, what it rests on, and what can be done. */
export function Release({ id }: { id: string }) {
  const release = releases.value.find((one) => one.id === id);
  const [seen, setSeen] = useState<ObservationsDoc | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const tick = Math.floor(arrived.value / 2);
  const exists = release !== undefined;
  useEffect(() => {
    if (!exists) return;
    get<ObservationsDoc>(`/api/v1/releases/${encodeURIComponent(id)}/observations`).then(
      (document) => {
        setSeen(document);
        setProblem(null);
      },
      (error) => setProblem(problemOf(error)),
    );
  }, [id, exists, tick, release?.revision]);
  if (!fleet.value) return <p class="muted pad">Waiting for the first answer …</p>;
  if (!release) {
    return (
      <Empty title={past.value ? 'This release did not exist yet.' : 'There is no such release.'} command="davy status">
        <a href="/">To the fleet</a>
      </Empty>
    );
  }
  const shown = seen && past.value ? until(seen, past.value.beforeSeq) : seen;
  return (
    <article class="release">
      <Head release={release} />
      <Rail release={release} />
      {!past.value && <Actions release={release} />}
      {problem && (
        <p class="problem" role="alert">
          {problem.sentence} {problem.next}
        </p>
      )}
      <div class="cards">
        <Why release={release} />
        <Split release={release} seen={shown} />
        <ErrorTrend release={release} seen={shown} />
        <Latency release={release} seen={shown} />
        <EvidenceTrend seen={shown} />
        <MetricTable release={release} />
      </div>
      <p class="muted">
        <a href={`/timeline?text=${encodeURIComponent(release.id)}`}>Every record of this release</a>
      </p>
      <Ways cli={`explain ${release.id}`} api={`/api/v1/releases/${encodeURIComponent(release.id)}`} />
    </article>
  );
}

function until(seen: ObservationsDoc, beforeSeq: number): ObservationsDoc {
  return { ...seen, points: seen.points.filter((point) => point.seq < beforeSeq) };
}

function Head({ release }: { release: ReleaseDoc }) {
  const state = stateOf(release);
  return (
    <header class="head">
      <h1>
        {release.service} <span class="muted">{release.from} →</span> {release.version}
      </h1>
      <Badge tone={state.tone}>{state.word}</Badge>
      <Badge tone={verdictTone(release.verdict)}>{release.verdict}</Badge>
      <p class="muted">
        {release.id} · asked for by {release.requestedBy} at <Time at={release.requestedAtMs} />: {release.reason}
      </p>
    </header>
  );
}

/** The steps, what was held at the current one, and the countdown to the next. */
function Rail({ release }: { release: ReleaseDoc }) {
  const remaining = remainingMs(release);
  // Between two answers the countdown goes on by the page's own clock, unless nothing is counted at the moment.
  const counting = release.paused === null && release.held === null && !past.value;
  const since = counting && receivedAtMs.value !== null ? Math.max(0, nowMs.value - receivedAtMs.value) : 0;
  const left = remaining === null ? null : Math.max(0, remaining - since);
  return (
    <ol class="rail" aria-label="Steps">
      {release.steps.map((step, index) => {
        const live = isInFlight(release) && index === release.step;
        const reached = index < release.counts.length;
        const done = release.phase === 'completed' || index < release.step;
        const failed = release.phase === 'rolled-back' && index === release.step;
        const share = live && left !== null && step.holdMs > 0 ? 1 - left / step.holdMs : done && reached ? 1 : 0;
        return (
          <li
            key={index}
            class={failed ? 'failed' : live ? 'live' : done && reached ? 'done' : 'ahead'}
            aria-current={live ? 'step' : undefined}
          >
            <span class="weight">
              <span aria-hidden="true">{failed ? '✗ ' : done && reached ? '✓ ' : live ? '▶ ' : ''}</span>
              {weight(step.weightBp)}
            </span>
            <progress max="1" value={share} aria-label={`Held at ${weight(step.weightBp)}`} />
            <span class="muted">{stepText(release, index, live, left)}</span>
          </li>
        );
      })}
    </ol>
  );
}

function stepText(release: ReleaseDoc, index: number, live: boolean, left: number | null): string {
  const hold = release.steps[index]?.holdMs ?? 0;
  if (live && left !== null)
    return left > 0 ? `${duration(left)} left of ${duration(hold)}` : 'held; waits for evidence';
  if (release.phase === 'rolled-back' && index === release.step) return 'rolled back here';
  return index < release.counts.length ? 'held' : `hold ${duration(hold)}`;
}

/** The decision in a sentence, its inputs, and what comes next. */
function Why({ release }: { release: ReleaseDoc }) {
  const explained = explainRelease(release);
  const promote = release.judgement?.promote;
  return (
    <Card title="Why">
      <p class="sentence">{explained.sentence}</p>
      {isInFlight(release) && promote?.needRequests != null && (
        <p class="need">
          Needs about <strong>{count(promote.needRequests)}</strong> more canary requests
          {promote.needMs !== null && <>, about {duration(promote.needMs)} at current traffic</>}.
        </p>
      )}
      <Facts>
        {explained.facts
          .filter(([name]) => name !== 'asked for' && name !== 'release')
          .map(([name, value]) => (
            <Fact key={name} name={name}>
              {value}
            </Fact>
          ))}
      </Facts>
      <p class="muted">
        <strong>Next: </strong>
        {explained.next.replaceAll('`', '')}
      </p>
    </Card>
  );
}

function MetricTable({ release }: { release: ReleaseDoc }) {
  const metrics = release.judgement?.evidence.metrics ?? [];
  return (
    <Card title="Metrics">
      {metrics.length === 0 ? (
        <p class="muted">No look has been judged yet.</p>
      ) : (
        <div class="tablebox">
          <table>
            <thead>
              <tr>
                <th scope="col">metric</th>
                <th scope="col">canary</th>
                <th scope="col">stable</th>
                <th scope="col">evidence</th>
              </tr>
            </thead>
            <tbody>
              {metrics.map((metric) => (
                <tr key={metric.name} class={metric.named ? 'named' : undefined}>
                  <th scope="row">
                    {metric.name}
                    <small class="muted">{metric.says}</small>
                  </th>
                  <td>{armText(metric.canary)}</td>
                  <td>{armText(metric.stable)}</td>
                  <td>{metric.evidence >= 100 ? metric.evidence.toExponential(1) : metric.evidence.toPrecision(2)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

function armText(arm: { requests: number; events: number } | null): string {
  if (!arm || arm.requests === 0) return '–';
  return `${percent(arm.events / arm.requests, 2)} of ${count(arm.requests)}`;
}
