import { useEffect, useState } from 'preact/hooks';
import { duration } from './format.ts';
import { HoldBand } from './hold.tsx';
import { lazy } from './lazy.tsx';
import { fleet, fleetProblem, loggedIn, lookBack, lostAtMs, nowMs, past, receivedAtMs } from './live.ts';
import { Login, logout } from './login.tsx';
import { Copy, Dialog } from './parts.tsx';
import { go, onLink, path } from './route.ts';
import { Fleet } from './views/fleet.tsx';

const Release = lazy(async () => (await import('./views/release.tsx')).Release);
const Timeline = lazy(async () => (await import('./views/timeline.tsx')).Timeline);
const Topology = lazy(async () => (await import('./views/topology.tsx')).Topology);
const Chaos = lazy(async () => (await import('./views/chaos.tsx')).Chaos);
const Evidence = lazy(async () => (await import('./views/evidence.tsx')).Evidence);
const System = lazy(async () => (await import('./views/system.tsx')).System);

const VIEWS = [
  { to: '/', key: 'f', name: 'Fleet' },
  { to: '/timeline', key: 't', name: 'Timeline' },
  { to: '/topology', key: 'o', name: 'Topology' },
  { to: '/chaos', key: 'c', name: 'Chaos' },
  { to: '/evidence', key: 'e', name: 'Evidence' },
  { to: '/system', key: 's', name: 'System' },
];

export function App() {
  if (loggedIn.value === false) return <Login />;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: catches the clicks of links, which keys follow by themselves
    // biome-ignore lint/a11y/noStaticElementInteractions: as above
    <div class="app" onClick={onLink}>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <Header />
      <Connection />
      <PastBanner />
      <main id="content" tabIndex={-1}>
        {fleet.value ? <View /> : fleetProblem.value ? <Unreachable /> : <p class="muted pad">Asking Davy …</p>}
      </main>
      <Keys />
    </div>
  );
}

function Header() {
  return (
    <header class="top">
      <a class="brand" href="/">
        <img src="/lamp.svg" alt="" width="22" height="22" />
        <span>{fleet.value?.system ?? 'Davy'}</span>
      </a>
      <nav aria-label="Views">
        {VIEWS.map(({ to, name }) => (
          <a key={to} href={to} aria-current={isCurrent(to) ? 'page' : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <Age />
      <button type="button" class="small" onClick={logout}>
        Log out
      </button>
    </header>
  );
}

function isCurrent(to: string): boolean {
  return to === '/' ? path.value === '/' || path.value.startsWith('/releases/') : path.value === to;
}

/** How old what is shown is: always in sight. */
function Age() {
  const at = receivedAtMs.value;
  const age = at === null ? null : nowMs.value - at;
  const old = age !== null && age > 6_000;
  return (
    <span class={old ? 'age old' : 'age'} title="Age of what this page shows">
      <span aria-hidden="true">{lostAtMs.value === null ? '●' : '○'}</span>{' '}
      {age === null ? 'no data yet' : age < 3_000 ? 'live' : `${duration(age)} old`}
    </span>
  );
}

function Connection() {
  const lost = lostAtMs.value;
  const problem = fleet.value?.traffic.problem;
  const hold = fleet.value?.traffic.hold;
  return (
    <div aria-live="polite">
      {lost !== null && (
        <p class="band bad" role="alert">
          <strong>Disconnected for {duration(nowMs.value - lost)}.</strong> What you see is from before. Traffic goes on
          without this page; a canary's share ends by itself when Davy stays away.
        </p>
      )}
      {lost === null && hold && <HoldBand hold={hold} />}
      {lost === null &&
        fleet.value?.dirty.map(({ run, fault, why }) => (
          <p key={run} class="band bad" role="alert" data-band="dirty">
            <strong>{run} is DIRTY:</strong> {fault} may still be in force ({why}). Nothing is raised until a person has
            looked and <a href="/chaos">declared it clean</a>.
          </p>
        ))}
      {lost === null && problem && (
        <p class="band warn">
          <strong>Traffic is not in step with the decisions:</strong> {problem}
        </p>
      )}
    </div>
  );
}

function PastBanner() {
  const shown = past.value;
  if (!shown) return null;
  return (
    <p class="band past" role="status">
      <strong>You are looking back:</strong> services and releases as they were before record {shown.beforeSeq}.{' '}
      <button type="button" class="small" onClick={() => lookBack(null)}>
        Return to now
      </button>
    </p>
  );
}

function View() {
  const at = path.value;
  const release = /^\/releases\/([^/]+)$/.exec(at)?.[1];
  if (at === '/') return <Fleet />;
  if (release !== undefined) return <Release key={release} id={decodeURIComponent(release)} />;
  if (at === '/timeline') return <Timeline />;
  if (at === '/topology') return <Topology />;
  if (at === '/chaos') return <Chaos />;
  if (at === '/evidence') return <Evidence />;
  if (at === '/system') return <System />;
  return (
    <div class="empty">
      <strong>There is no such page.</strong>
      <a href="/">To the fleet</a>
    </div>
  );
}

function Unreachable() {
  return (
    <div class="empty">
      <strong>{fleetProblem.value?.sentence}</strong>
      <p>{fleetProblem.value?.next}</p>
      <Copy text="davy up davy.yaml" />
    </div>
  );
}

/** g and a letter goes to a view, / searches, ? tells the keys. */
function Keys() {
  const [help, setHelp] = useState(false);
  useEffect(() => {
    let wentG = false;
    const onKey = (event: KeyboardEvent): void => {
      const field = /^(INPUT|TEXTAREA|SELECT)$/.test((event.target as Element).tagName);
      if (field || event.metaKey || event.ctrlKey || event.altKey || document.querySelector('dialog[open]')) return;
      const view = wentG ? VIEWS.find((one) => one.key === event.key) : undefined;
      wentG = event.key === 'g';
      if (view) go(view.to);
      else if (event.key === '?') setHelp(true);
      else if (event.key === '/') {
        event.preventDefault();
        document.querySelector<HTMLInputElement>('input[type=search]')?.focus();
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  if (!help) return null;
  return (
    <Dialog title="Keys" onClose={() => setHelp(false)}>
      <dl class="facts">
        {VIEWS.map(({ key, name }) => (
          <div key={key}>
            <dt>
              <kbd>g</kbd> <kbd>{key}</kbd>
            </dt>
            <dd>{name}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>/</kbd>
          </dt>
          <dd>Search</dd>
        </div>
        <div>
          <dt>
            <kbd>Esc</kbd>
          </dt>
          <dd>Close</dd>
        </div>
      </dl>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </Dialog>
  );
}
