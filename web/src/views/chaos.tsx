import { useEffect, useState } from 'preact/hooks';
import type { ChaosCheckDoc, ChaosListDoc, ChaosRunDoc } from '../../../src/server/routes/chaos.ts';
import { get, type Problem, post, problemOf } from '../api.ts';
import { duration, percent } from '../format.ts';
import { arrived } from '../live.ts';
import { Badge, Card, Dialog, Empty, Fact, Facts, Time, type Tone, Ways } from '../parts.tsx';

type Experiment = ChaosListDoc['experiments'][number];

/** Rehearsals of failure: what is declared, what would be hit, what runs, and what came of it. */
export function Chaos() {
  const [list, setList] = useState<ChaosListDoc | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asking, setAsking] = useState<Experiment | null>(null);
  const [stopping, setStopping] = useState<ChaosRunDoc | null>(null);
  const load = (): void => {
    get<ChaosListDoc>('/api/v1/chaos').then(
      (document) => {
        setList(document);
        setProblem(null);
      },
      (error) => setProblem(problemOf(error)),
    );
  };
  useEffect(load, [arrived.value]);
  return (
    <div class="chaos">
      <h1>Chaos</h1>
      {problem && (
        <p class="problem" role="alert">
          {problem.sentence} {problem.next}
        </p>
      )}
      {list?.blocked && (
        <p class="band warn">
          <strong>Promotions wait:</strong> {list.blocked}
        </p>
      )}
      {list?.running.map((run) => (
        <Running key={run.id} run={run} onStop={() => setStopping(run)} />
      ))}
      {list && list.experiments.length === 0 && (
        <Empty title="The spec declares no experiments." command="davy chaos --help">
          An entry under <code>chaos:</code> in davy.yaml declares one; it shows here with its targets and its schedule.
        </Empty>
      )}
      <div class="cards">
        {list?.experiments.map((one) => (
          <ExperimentCard key={one.name} one={one} onRun={() => setAsking(one)} />
        ))}
      </div>
      {asking && <RunDialog one={asking} onClose={() => setAsking(null)} onDone={load} />}
      {stopping && <StopDialog run={stopping} onClose={() => setStopping(null)} onDone={load} />}
      <Ways cli="chaos list" api="/api/v1/chaos" />
    </div>
  );
}

function Running({ run, onStop }: { run: ChaosRunDoc; onStop: () => void }) {
  return (
    <Card
      title={`${run.experiment} runs`}
      wide
      aside={<Badge tone={run.dirty ? 'bad' : 'live'}>{run.dirty ? 'DIRTY' : run.phase}</Badge>}
    >
      <p>
        {run.fault} on {run.targets.join(', ') || run.service}, {percent(run.blast.requestsShare)} of the requests
        {run.injectedAtMs !== null && (
          <>
            , since <Time at={run.injectedAtMs} />
          </>
        )}
        .
      </p>
      {run.dirty && <p class="problem">{run.dirty}</p>}
      <button type="button" class="danger" onClick={onStop}>
        Stop and revert {run.fault}
      </button>
    </Card>
  );
}

const TONES: Record<string, Tone> = {
  PASS: 'good',
  FAIL: 'bad',
  INCONCLUSIVE: 'quiet',
  INVALID: 'warn',
  ERROR: 'warn',
};

function ExperimentCard({ one, onRun }: { one: Experiment; onRun: () => void }) {
  const verdict = one.last?.conclusion?.verdict;
  return (
    <Card title={one.name} aside={verdict && <Badge tone={TONES[verdict] ?? 'quiet'}>{verdict}</Badge>}>
      <p>{one.hypothesis}</p>
      <Facts>
        <Fact name="fault">
          {one.fault} on {one.service}, {duration(one.durationMs)}
        </Fact>
        <Fact name="next by schedule">{one.nextMs === null ? 'only by hand' : <Time at={one.nextMs} />}</Fact>
        {one.last && <Result run={one.last} />}
      </Facts>
      {one.problem && <p class="muted">Cannot run now: {one.problem}</p>}
      <button type="button" onClick={onRun}>
        Look at the targets …
      </button>
    </Card>
  );
}

function Result({ run }: { run: ChaosRunDoc }) {
  const recovered = run.conclusion?.recovery.map((one) =>
    one.readyAtMs === null
      ? `${one.instance}: not ready again`
      : `${one.instance}: ${duration(one.readyAtMs - one.killedAtMs)}`,
  );
  return (
    <>
      <Fact name="last run">
        <Time at={run.plannedAtMs} /> {run.conclusion?.reasons.join('; ')}
      </Fact>
      {recovered && recovered.length > 0 && <Fact name="recovery">{recovered.join(', ')}</Fact>}
      {run.conclusion?.steadyAfterMs != null && (
        <Fact name="steady again after">{duration(run.conclusion.steadyAfterMs)}</Fact>
      )}
    </>
  );
}

/** What would be hit, before anything is. */
function RunDialog({ one, onClose, onDone }: { one: Experiment; onClose: () => void; onDone: () => void }) {
  const [check, setCheck] = useState<ChaosCheckDoc | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [reason, setReason] = useState('');
  useEffect(() => {
    post<ChaosCheckDoc>('/api/v1/chaos/check', { experiment: one.name }).then(setCheck, (error) =>
      setProblem(problemOf(error)),
    );
  }, [one.name]);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    try {
      await post('/api/v1/chaos/runs', { experiment: one.name, reason });
      onDone();
      onClose();
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  const refused = problem ?? check?.problem;
  return (
    <Dialog title={`Run ${one.name}`} onClose={onClose}>
      <form onSubmit={submit}>
        <p class="change">
          {one.fault} on {one.service} for {duration(one.durationMs)}, then reverted by itself.
        </p>
        {check && (
          <Facts>
            <Fact name="hit">{check.targets.join(', ') || 'nothing'}</Fact>
            <Fact name="left alone">{check.untouched.join(', ') || 'nothing'}</Fact>
            {check.blast && (
              <Fact name="blast radius">
                {percent(check.blast.instancesShare)} of the instances, {percent(check.blast.requestsShare)} of the
                requests
              </Fact>
            )}
          </Facts>
        )}
        {refused && (
          <p class="problem" role="alert">
            {refused.sentence} {refused.next}
          </p>
        )}
        <label>
          Reason (stands in the ledger)
          <textarea
            required
            maxLength={500}
            rows={2}
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        <div class="buttons">
          <button type="submit" class="danger" disabled={!check?.allowed || reason.trim() === ''}>
            Inject {one.fault}
          </button>
          <button type="button" onClick={onClose}>
            Leave it
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function StopDialog({ run, onClose, onDone }: { run: ChaosRunDoc; onClose: () => void; onDone: () => void }) {
  const [reason, setReason] = useState('');
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    try {
      await post('/api/v1/chaos/stop', { runs: [run.id], reason });
      onDone();
      onClose();
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  return (
    <Dialog title={`Stop ${run.experiment}`} onClose={onClose}>
      <form onSubmit={submit}>
        <p class="change">The fault is taken back now; the run ends without a result.</p>
        {problem && <p class="problem">{problem.sentence}</p>}
        <label>
          Reason (stands in the ledger)
          <textarea
            required
            maxLength={500}
            rows={2}
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        <div class="buttons">
          <button type="submit" class="danger" disabled={reason.trim() === ''}>
            Stop and revert
          </button>
          <button type="button" onClick={onClose}>
            Leave it
          </button>
        </div>
      </form>
    </Dialog>
  );
}
