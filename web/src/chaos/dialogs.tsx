import { useEffect, useState } from 'preact/hooks';
import type { ChaosCheckDoc, ChaosListDoc, ChaosRunDoc } from '../../../src/server/routes/chaos.ts';
import { type Problem, post, problemOf } from '../api.ts';
import { Confirm } from '../confirm.tsx';
import { duration, percent } from '../format.ts';
import { Fact, Facts } from '../parts.tsx';

interface Asked {
  onClose: () => void;
  onDone: () => void;
}

/** What would be hit, before anything is. */
export function RunDialog({ one, onClose, onDone }: Asked & { one: ChaosListDoc['experiments'][number] }) {
  const [check, setCheck] = useState<ChaosCheckDoc | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    post<ChaosCheckDoc>('/api/v1/chaos/check', { experiment: one.name }).then(setCheck, (error) =>
      setProblem(problemOf(error)),
    );
  }, [one.name]);
  const refused = problem ?? check?.problem ?? null;
  return (
    <Confirm
      title={`Run ${one.name}`}
      says={`Inject ${one.fault}`}
      change={`${one.fault} on ${one.service} for ${duration(one.durationMs)}, then reverted by itself.`}
      tone="danger"
      refused={refused ? `${refused.sentence} ${refused.next}` : check === null ? 'Asking what would be hit …' : null}
      cli={(reason) => `davy chaos run ${one.name} --reason ${reason}`}
      act={(reason) => post('/api/v1/chaos/runs', { experiment: one.name, reason }).then(onDone)}
      onClose={onClose}
    >
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
    </Confirm>
  );
}

export function StopDialog({ run, onClose, onDone }: Asked & { run: ChaosRunDoc }) {
  return (
    <Confirm
      title={`Stop ${run.experiment}`}
      says="Stop and revert"
      change={`${run.fault} on ${run.targets.join(', ') || run.service} is taken back now; the run ends without a result.`}
      tone="danger"
      cli={(reason) => `davy chaos stop ${run.id} --reason ${reason}`}
      act={(reason) => post('/api/v1/chaos/stop', { runs: [run.id], reason }).then(onDone)}
      onClose={onClose}
    />
  );
}

/** After somebody looked: the fault is gone although Davy could not show it. */
export function ClearDialog({ run, onClose, onDone }: Asked & { run: ChaosRunDoc }) {
  return (
    <Confirm
      title={`Declare ${run.id} clean`}
      says="Declare it clean"
      change={`Promotions go on and experiments may run again. Look first: ${run.dirty ?? 'the fault may still be in force'}.`}
      tone="danger"
      typed={run.id}
      cli={(reason) => `davy chaos clear ${run.id} --reason ${reason}`}
      act={(reason) => post(`/api/v1/chaos/runs/${encodeURIComponent(run.id)}/clear`, { reason }).then(onDone)}
      onClose={onClose}
    />
  );
}
