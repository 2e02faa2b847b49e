import { useState } from 'preact/hooks';
import type { HoldDoc } from '../../src/server/schemas.ts';
import { post } from './api.ts';
import { Confirm } from './confirm.tsx';
import { weight } from './format.ts';
import { refresh } from './live.ts';

/** Shown on every view while the world is ahead of the ledger: what shows it, what is held, and the way out. */
export function HoldBand({ hold }: { hold: HoldDoc }) {
  const [asking, setAsking] = useState(false);
  const lower = hold.services.filter(({ weightBp, decidedBp }) => weightBp < decidedBp);
  return (
    <div class="band bad" role="alert" data-band="hold">
      <p>
        <strong>Records of the ledger are lost, so nothing is raised until a person decides.</strong>{' '}
        {hold.signs.map(({ by, says }) => `${by}: ${says}`).join('; ')}.
      </p>
      {lower.map((line) => (
        <p key={line.service}>
          {line.service} stays at{' '}
          {line.canary === null ? `${line.stable} alone` : `${weight(line.weightBp)} to ${line.canary}`}; the ledger
          says {weight(line.decidedBp)}.
        </p>
      ))}
      <button type="button" data-verb="continue" onClick={() => setAsking(true)}>
        Go on from what is in force …
      </button>
      {asking && <Ask hold={hold} onClose={() => setAsking(false)} />}
    </div>
  );
}

function Ask({ hold, onClose }: { hold: HoldDoc; onClose: () => void }) {
  const act = async (reason: string): Promise<void> => {
    await post('/api/v1/traffic/continue', { reason, acceptLoss: true });
    await refresh();
  };
  const ending = hold.services.filter(({ ends }) => ends).map(({ service }) => service);
  return (
    <Confirm
      title="Accept that records are lost"
      says="Go on from what is in force"
      change={
        <>
          What is in force now is what counts; nothing is raised by this.{' '}
          {ending.length > 0 && `The release in flight of ${ending.join(', ')} ends. `}
          Look for the lost records first: whoever has them can put them back.
        </>
      }
      tone="danger"
      cli={(reason) => `davy continue --accept-loss --reason ${reason}`}
      act={act}
      onClose={onClose}
    />
  );
}
