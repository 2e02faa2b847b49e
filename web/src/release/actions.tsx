import { useState } from 'preact/hooks';
import type { ReleaseDoc } from '../../../src/server/schemas.ts';
import { post } from '../api.ts';
import { Confirm } from '../confirm.tsx';
import { refresh } from '../live.ts';
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
      {asking && <Ask {...asking} now={release} onClose={() => setAsking(null)} />}
    </div>
  );
}

/** For what cannot be taken back the release's own name is asked for as well. */
function Ask(props: { action: Action; seen: ReleaseDoc; now: ReleaseDoc; onClose: () => void }) {
  const { action, seen, now, onClose } = props;
  const act = async (reason: string): Promise<void> => {
    const match = { 'if-match': `"${seen.revision}"` };
    await post(`/api/v1/releases/${encodeURIComponent(seen.id)}/${action.verb}`, { reason, ...action.body }, match);
    await refresh();
  };
  const stale = now.revision !== seen.revision;
  const full = action.body?.full ? ' --full' : '';
  return (
    <Confirm
      title={action.says}
      says={action.says}
      change={action.change}
      tone={action.verb === 'rollback' ? 'danger' : 'primary'}
      typed={action.body?.full ? seen.id : undefined}
      refused={stale ? 'The release has changed since you opened this; close it and look again.' : null}
      cli={(reason) => `davy ${action.verb} ${seen.id}${full} --reason ${reason}`}
      act={act}
      onClose={onClose}
    />
  );
}
