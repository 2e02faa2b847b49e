import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { isBlank } from '../../src/lib/outside-text/visible.ts';
import { type Problem, problemOf } from './api.ts';
import { Copy, Dialog } from './parts.tsx';

export interface Change {
  title: string;
  /** The consequence, as the button says it. */
  says: string;
  /** What exactly changes. */
  change: ComponentChildren;
  tone: 'primary' | 'danger';
  /** A name to type first, for what cannot be taken back. */
  typed?: string | undefined;
  /** Why it cannot be done at all, or no longer as it was seen. */
  refused?: string | null;
  /** The same on the command line, with the reason as it stands. */
  cli: (reason: string) => string;
  act: (reason: string) => Promise<unknown>;
  onClose: () => void;
  children?: ComponentChildren;
}

/** Every change of the page goes through here: what changes, a reason for the ledger, and a second click. */
export function Confirm(props: Change) {
  const { title, says, change, tone, typed, refused = null, cli, act, onClose, children } = props;
  const [reason, setReason] = useState('');
  const [name, setName] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await act(reason);
      onClose();
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };
  const ready = refused === null && !isBlank(reason) && (typed === undefined || name === typed);
  const sentence = problem ? `${problem.sentence} ${problem.next}` : refused;
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        <p class="change">{change}</p>
        {children}
        {sentence && (
          <p class="problem" role="alert">
            {sentence}
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
        {typed !== undefined && (
          <label>
            Type {typed} to confirm
            <input
              name="confirm"
              autoComplete="off"
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
        )}
        <div class="buttons">
          <button type="submit" class={tone} disabled={busy || !ready}>
            {busy ? 'Sending …' : says}
          </button>
          <button type="button" onClick={onClose}>
            Leave it
          </button>
        </div>
        <Copy label="CLI" text={cli(quoted(reason))} />
      </form>
    </Dialog>
  );
}

/** For a POSIX shell: nothing inside single quotes means anything. */
function quoted(text: string): string {
  return text === '' ? "'…'" : `'${text.replaceAll("'", "'\\''")}'`;
}
