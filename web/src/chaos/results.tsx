import type { ChaosRunDoc } from '../../../src/server/routes/chaos.ts';
import { count, measured, ms, percent } from '../format.ts';
import { Badge, Card, Time, type Tone } from '../parts.tsx';

const TONES: Record<string, Tone> = {
  PASS: 'good',
  FAIL: 'bad',
  INCONCLUSIVE: 'quiet',
  INVALID: 'warn',
  ERROR: 'warn',
};

/** The fault could not be shown to be gone, and nobody has declared it so. */
export function isDirty(run: ChaosRunDoc): boolean {
  return run.phase === 'dirty';
}

export function Verdict({ run }: { run: ChaosRunDoc }) {
  if (isDirty(run)) return <Badge tone="bad">DIRTY</Badge>;
  const verdict = run.conclusion?.verdict;
  if (verdict === undefined) return <Badge tone="live">{run.phase}</Badge>;
  return <Badge tone={TONES[verdict] ?? 'quiet'}>{verdict}</Badge>;
}

/** What came of every run, newest first. */
export function Results({ runs }: { runs: ChaosRunDoc[] }) {
  return (
    <Card title="Results" wide>
      {runs.length === 0 ? (
        <p class="muted">Nothing was rehearsed yet.</p>
      ) : (
        <div class="tablebox">
          <table class="results">
            <thead>
              <tr>
                <th scope="col">run</th>
                <th scope="col">when</th>
                <th scope="col">verdict</th>
                <th scope="col">why</th>
                <th scope="col">recovery</th>
              </tr>
            </thead>
            <tbody>
              {runs.map((run) => (
                <tr key={run.id}>
                  <th scope="row">
                    <a href={`/timeline?text=${encodeURIComponent(run.id)}`}>{run.id}</a>
                    <small class="muted">{run.experiment}</small>
                  </th>
                  <td>
                    <Time at={run.plannedAtMs} />
                    <small class="muted">
                      {run.by}: {run.reason}
                    </small>
                  </td>
                  <td>
                    <Verdict run={run} />
                  </td>
                  <td>
                    {run.stopped && (
                      <>
                        stopped by {run.stopped.by}: {run.stopped.reason}.{' '}
                      </>
                    )}
                    {run.conclusion?.reasons.join('; ')}
                    <Measured run={run} />
                  </td>
                  <td>
                    <Recovery run={run} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

/** What was measured of the injection, and of requests that should not have noticed. */
function Measured({ run }: { run: ChaosRunDoc }) {
  const { injection, presence, control } = run.conclusion ?? {};
  return (
    <>
      {presence && (
        <small class="muted">
          in force for {measured(presence.presentMs)} of {measured(presence.plannedMs)}
          {presence.processes.map(({ instance, pid, fate }) => (
            <>
              {'; '}
              {instance} pid {pid} {fate}
            </>
          ))}
        </small>
      )}
      {injection && (
        <small class="muted">
          hit {count(injection.injected)} of {count(injection.matched)} requests
          {presence && presence.inScope !== null && <>, {count(presence.inScope)} counted in its scope</>}
          {injection.meanAddedMs !== null && <>, {ms(injection.meanAddedMs)} added on average</>}
        </small>
      )}
      {control && control.changeShare !== null && (
        <small class="muted">
          {control.what}: p95 changed by {percent(control.changeShare)}
        </small>
      )}
    </>
  );
}

function Recovery({ run }: { run: ChaosRunDoc }) {
  const { conclusion } = run;
  if (!conclusion) return <>–</>;
  const { recovery, steadyAfterMs, detectedAfterMs } = conclusion;
  return (
    <>
      {steadyAfterMs !== null && <>steady after {measured(steadyAfterMs)}</>}
      {detectedAfterMs !== null && <small class="muted">noticed after {measured(detectedAfterMs)}</small>}
      {recovery.map(({ instance, killedAtMs, readyAtMs }) => (
        <small key={instance} class="muted">
          {instance}: {readyAtMs === null ? 'not ready again' : `ready after ${measured(readyAtMs - killedAtMs)}`}
        </small>
      ))}
      {steadyAfterMs === null && recovery.length === 0 && '–'}
    </>
  );
}
