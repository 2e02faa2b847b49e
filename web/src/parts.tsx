import { type ComponentChildren, type JSX, toChildArray } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { localTime, utc } from './format.ts';

/** Pieces that every view uses. */

export type Tone = 'good' | 'bad' | 'warn' | 'live' | 'quiet';

const MARKS: Record<Tone, string> = { good: '✓', bad: '✗', warn: '!', live: '▶', quiet: '·' };

/** A state in a sign and a word; the colour only repeats them. */
export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true">{MARKS[tone]}</span> {children}
    </span>
  );
}

/** Local time, with UTC when pointed at. */
export function Time({ at }: { at: number }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={utc(at)}>
      {localTime(at)}
    </time>
  );
}

export function Card(props: { title: string; aside?: ComponentChildren; children: ComponentChildren; wide?: boolean }) {
  return (
    <section class={props.wide ? 'card wide' : 'card'} aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        {props.aside && <div class="aside">{props.aside}</div>}
      </header>
      {props.children}
    </section>
  );
}

export function Empty({ title, command, children }: { title: string; command?: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children && <p>{children}</p>}
      {command && <Copy text={command} />}
    </div>
  );
}

/** A text to copy, for commands and addresses. */
export function Copy({ text, label }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const copy = async (): Promise<void> => {
    const copied = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
    setDone(copied);
    if (copied) setTimeout(() => setDone(false), 1_500);
  };
  return (
    <span class="copy">
      {label && <span class="muted">{label} </span>}
      <code>{text}</code>
      <button type="button" class="small" onClick={copy} aria-label={`Copy: ${text}`}>
        {done ? 'copied' : 'copy'}
      </button>
    </span>
  );
}

/** The same view for the other two ways in: the command line and the API. */
export function Ways({ cli, api }: { cli: string; api: string }) {
  const port = location.port === '7070' || location.port === '' ? '' : ` --port ${location.port}`;
  return (
    <footer class="ways">
      <Copy label="CLI" text={`davy ${cli}${port}`} />
      <Copy label="API" text={`${location.origin}${api}`} />
    </footer>
  );
}

/** A modal question; Escape and the backdrop say no. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    element.current?.showModal();
  }, []);
  return (
    <dialog ref={element} aria-label={props.title} onClose={props.onClose}>
      <h2>{props.title}</h2>
      {props.children}
    </dialog>
  );
}

/** Two columns of what a thing is. */
export function Facts({ children }: { children: ComponentChildren }) {
  return <dl class="facts">{toChildArray(children)}</dl>;
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A bar for a share, with its figure beside it: the decided share as a line, the measured one filled. */
export function ShareBar({
  measured,
  intended,
  label,
}: {
  measured: number | null;
  intended: number;
  label: string;
}): JSX.Element {
  return (
    <svg class="sharebar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={label}>
      <rect class="track" width="100" height="10" />
      <rect class="fill" width={Math.max(0, Math.min(1, measured ?? 0)) * 100} height="10" />
      <rect class="mark" x={Math.min(99, intended * 100)} width="1" height="10" />
    </svg>
  );
}
