import { useEffect, useState } from 'preact/hooks';
import type { ChaosListDoc, ChaosRunDoc } from '../../../src/server/routes/chaos.ts';
import { get, type Problem, problemOf } from '../api.ts';
import { ClearDialog, RunDialog, StopDialog } from '../chaos/dialogs.tsx';
import { isDirty, Results, Verdict } from '../chaos/results.tsx';
import { duration, percent } from '../format.ts';
import { arrived, nowMs, past } from '../live.ts';
import { Card, Empty, Fact, Facts, Time, Ways } from '../parts.tsx';

type Experiment = ChaosListDoc['experiments'][number];
type Asking = { what: 'run'; one: Experiment } | { what: 'stop' | 'clear'; run: ChaosRunDoc };

/** Rehearsals of failure: what is declared, what would be hit, what runs, and what came of it. */
export function Chaos() {
  const [list, setList] = useState<ChaosListDoc | null>(null);
  const [runs, setRuns] = useState<ChaosRunDoc[]>([]);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asking, setAsking] = useState<Asking | null>(null);
  const load = (): void => {
    Promise.all([get<ChaosListDoc>('/api/v1/chaos'), get<ChaosRunDoc[]>('/api/v1/chaos/runs')]).then(
      ([document, all]) => {
        setList(document);
        setRuns(all);
        setProblem(null);
      },
      (error) => setProblem(problemOf(error)),
    );
  };
  useEffect(load, [arrived.value]);
  const onClose = (): void => setAsking(null);
  return (
    <div class="chaos">
      <h1>Chaos</h1>
      {problem && <NoList problem={problem} />}
      {past.value && <p class="band past">Experiments are shown as they are now; the results say when they ran.</p>}
      {list?.blocked && (
        <p class="band warn">
          <strong>Promotions wait:</strong> {list.blocked}
        </p>
      )}
      {runs.filter(isDirty).map((run) => (
        <Dirty key={run.id} run={run} onAsk={setAsking} />
      ))}
      {list?.running.map((run) => (
        <Running key={run.id} run={run} onAsk={setAsking} />
      ))}
      {list && list.experiments.length === 0 && (
        <Empty title="The spec declares no experiments." command="davy chaos --help">
          An entry under <code>chaos:</code> in davy.yaml declares one; it shows here with its targets and its schedule.
        </Empty>
      )}
      {list && (
        <div class="cards">
          {list.experiments.map((one) => (
            <ExperimentCard key={one.name} one={one} onRun={() => setAsking({ what: 'run', one })} />
          ))}
          <Schedule experiments={list.experiments} />
          {(list.experiments.length > 0 || runs.length > 0) && <Results runs={runs} />}
        </div>
      )}
      {asking?.what === 'run' && <RunDialog one={asking.one} onClose={onClose} onDone={load} />}
      {asking?.what === 'stop' && <StopDialog run={asking.run} onClose={onClose} onDone={load} />}
      {asking?.what === 'clear' && <ClearDialog run={asking.run} onClose={onClose} onDone={load} />}
      <Ways cli="chaos list" api="/api/v1/chaos" />
    </div>
  );
}

/** A controller without the engine has no such address: there is nothing to start, and that is said. */
function NoList({ problem }: { problem: Problem }) {
  if (problem.code === 'api/not-found') {
    return (
      <Empty title="This Davy has no experiment engine.">
        Its API knows no experiments, so nothing can be rehearsed, started or stopped from here.
      </Empty>
    );
  }
  return (
    <p class="problem" role="alert">
      {problem.sentence} {problem.next}
    </p>
  );
}

function Running({ run, onAsk }: { run: ChaosRunDoc; onAsk: (asking: Asking) => void }) {
  return (
    <Card title={`${run.experiment} runs`} wide aside={<Verdict run={run} />}>
      <p>
        {run.fault} on <Reach run={run} />
        {run.injectedAtMs !== null && (
          <>
            , since <Time at={run.injectedAtMs} /> ({duration(nowMs.value - run.injectedAtMs)})
          </>
        )}
        . <Asked run={run} />
      </p>
      <button type="button" class="danger" onClick={() => onAsk({ what: 'stop', run })}>
        Stop and revert {run.fault} …
      </button>
    </Card>
  );
}

/** It was concluded, but nobody knows that its fault is gone: until a person says so, no promotion and no experiment. */
function Dirty({ run, onAsk }: { run: ChaosRunDoc; onAsk: (asking: Asking) => void }) {
  return (
    <Card title={`${run.experiment} may still be in force`} wide aside={<Verdict run={run} />}>
      <p>
        {run.fault} on <Reach run={run} />. <Asked run={run} />
      </p>
      <p class="problem">It could not be shown to be gone: {run.dirty}</p>
      <button type="button" class="danger" onClick={() => onAsk({ what: 'clear', run })}>
        Declare it clean …
      </button>
    </Card>
  );
}

function Reach({ run }: { run: ChaosRunDoc }) {
  return (
    <>
      {run.targets.join(', ') || run.service}, {percent(run.blast.requestsShare)} of the requests
    </>
  );
}

function Asked({ run }: { run: ChaosRunDoc }) {
  return <span class="muted">{`${run.id}, asked for by ${run.by}: ${run.reason}`}</span>;
}

function ExperimentCard({ one, onRun }: { one: Experiment; onRun: () => void }) {
  return (
    <Card title={one.name} aside={one.last?.conclusion && <Verdict run={one.last} />}>
      <p>{one.hypothesis}</p>
      <Facts>
        <Fact name="fault">
          {one.fault} on {one.service}, {duration(one.durationMs)}
        </Fact>
        <Fact name="next by schedule">
          {one.nextMs === null ? (
            'only by hand'
          ) : (
            <>
              <Time at={one.nextMs} /> <span class="muted">in {duration(one.nextMs - nowMs.value)}</span>
            </>
          )}
        </Fact>
        {one.last && (
          <Fact name="last run">
            <Time at={one.last.plannedAtMs} /> {one.last.conclusion?.reasons.join('; ')}
          </Fact>
        )}
      </Facts>
      {one.problem && <p class="muted refusal">Cannot run now: {one.problem}</p>}
      <button type="button" onClick={onRun} disabled={past.value !== null}>
        Look at the targets …
      </button>
    </Card>
  );
}

/** What comes by itself, in order, and what became of the last time. */
function Schedule({ experiments }: { experiments: Experiment[] }) {
  const coming = experiments.filter((one) => one.nextMs !== null).sort((a, b) => (a.nextMs ?? 0) - (b.nextMs ?? 0));
  if (coming.length === 0) return null;
  return (
    <Card title="Schedule">
      <div class="tablebox">
        <table class="schedule">
          <thead>
            <tr>
              <th scope="col">next</th>
              <th scope="col">experiment</th>
              <th scope="col">the time before</th>
            </tr>
          </thead>
          <tbody>
            {coming.map((one) => (
              <tr key={one.name}>
                <td>
                  <Time at={one.nextMs ?? 0} />
                  <small class="muted">in {duration((one.nextMs ?? 0) - nowMs.value)}</small>
                </td>
                <th scope="row">{one.name}</th>
                <td>
                  <SlotText slot={one.slot} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function SlotText({ slot }: { slot: Experiment['slot'] }) {
  if (!slot) return <span class="muted">not yet</span>;
  return (
    <>
      <Time at={slot.atMs} /> {slot.refused === null ? 'ran' : `did not run: ${slot.refused}`}
      {slot.missed > 0 && <small class="muted">{slot.missed} earlier ones passed while Davy was away</small>}
    </>
  );
}
