import { useState } from 'preact/hooks';
import type { ReleaseDoc } from '../../../src/server/schemas.ts';
import { type Problem, post, problemOf } from '../api.ts';
import { refresh } from '../live.ts';
import { Copy, Dialog } from '../parts.tsx';
import { type Action, actionsOf } from '../words.ts';

/** Buttons say what happens; one that cannot be pressed says why. */
export function Actions({ release }: { release: ReleaseDoc }) {
  const [asking, setAsking] = useState<{ action: Action; seen: ReleaseDoc } | null>(null);
  return (
    <div class="actions">
      {actionsOf(release).map((action) => (
        <button
          key={action.verb + action.says}
          type="button"
          class={action.verb === 'rollback' ? 'danger' : ''}
          aria-disabled={action.disabled !== null}
          title={action.disabled === null ? action.change : `Not now: ${action.disabled}`}
          data-verb={action.body ? `${action.verb}-full` : action.verb}
          onClick={() => action.disabled === null && setAsking({ action, seen: release })}
        >
          {action.says}
          {action.disabled !== null && <span class="hidden"> (not now: {action.disabled})</span>}
        </button>
      ))}
      {asking && <Confirm {...asking} now={release} onClose={() => setAsking(null)} />}
    </div>
  );
}

/** What exactly changes, a reason for the ledger, and for what cannot be taken back the release's own name. */
function Confirm(props: { action: Action; seen: ReleaseDoc; now: ReleaseDoc; onClose: () => void }) {
  const { action, seen, now, onClose } = props;
  const [reason, setReason] = useState('');
  const [name, setName] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const stale = now.revision !== seen.revision;
  const named = action.verb !== 'promote' || !action.body?.full || name === seen.id;
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      const match = { 'if-match': `"${seen.revision}"` };
      await post(`/api/v1/releases/${encodeURIComponent(seen.id)}/${action.verb}`, { reason, ...action.body }, match);
      await refresh();
      onClose();
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };
  const full = action.body?.full ? ' --full' : '';
  return (
    <Dialog title={action.says} onClose={onClose}>
      <form onSubmit={submit}>
        <p class="change">{action.change}</p>
        {stale && (
          <p class="problem" role="alert">
            The release has changed since you opened this; close it and look again.
          </p>
        )}
        <label>
          Reason (stands in the ledger)
          <textarea
            name="reason"
            required
            maxLength={500}
            rows={2}
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        {action.body?.full && (
          <label>
            Type {seen.id} to confirm
            <input
              name="confirm"
              autoComplete="off"
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
        )}
        {problem && (
          <p class="problem" role="alert">
            {problem.sentence} {problem.next}
          </p>
        )}
        <div class="buttons">
          <button
            type="submit"
            class={action.verb === 'rollback' ? 'danger' : 'primary'}
            disabled={busy || stale || reason.trim() === '' || !named}
          >
            {busy ? 'Sending …' : action.says}
          </button>
          <button type="button" onClick={onClose}>
            Leave it
          </button>
        </div>
        <Copy
          label="CLI"
          text={`davy ${action.verb} ${seen.id}${full} --reason "${reason.replaceAll('"', '\\"') || '…'}"`}
        />
      </form>
    </Dialog>
  );
}
