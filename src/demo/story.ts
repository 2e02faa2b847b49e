import type { App } from '../app.ts';
import { verifyLedger } from '../ledger/verify.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import { own } from '../lib/own.ts';
import type { Load } from '../load/start-load.ts';
import { type ReleaseView, releaseView } from '../release/view.ts';
import type { ServiceSpec } from '../spec/model.ts';
import { checkHeaderRoute } from './header-route.ts';
import { type DemoOutcome, releaseLine, splitOf } from './outcome.ts';

/** Longer than either release may take; the demo's policy needs about half a minute. */
const RELEASE_WITHIN_MS = 60_000;
const BASELINE_MS = 2000;
const POLL_MS = 100;

export interface StoryParts {
  app: App;
  load: Load;
  service: ServiceSpec;
  good: string;
  bad: string;
  clock: Clock;
  signal: AbortSignal;
  /** A sentence at every turn of the story. */
  say: (line: string) => void;
  /** Called about ten times a second while a release is in flight. */
  show: (release: ReleaseView) => void;
}

/** The demo: a good version goes through, a bad one is rolled back, and everything is checked from outside. */
export async function tellStory(parts: StoryParts): Promise<DemoOutcome> {
  const { app, clock, service, say, signal } = parts;
  await sleep(clock, BASELINE_MS, signal);
  let headerOk = false;
  const first = await follow(parts, parts.good, 'demo: a good version', async (view) => {
    if (view.step !== 0 || headerOk || service.traffic.canaryHeader === null) return;
    headerOk = await checkHeaderRoute(service.listenPort, service.traffic.canaryHeader, view.version);
    if (headerOk)
      say(`header route: every request with ${service.traffic.canaryHeader}: true reached ${view.version} at 10 %`);
  });
  const second = await follow(parts, parts.bad, 'demo: a version that fails 5 % of its requests', async () => {});
  const loaded = await parts.load.stop();
  const failures = Object.values(loaded.counts.errors).reduce((sum, count) => sum + count, 0);
  say(`load: ${loaded.counts.requests} requests from outside, ${failures} of them failed`);
  await app.ledger.checkpoint();
  const checked = await verifyLedger(app.ledger.dir);
  return {
    releases: [releaseLine(first), releaseLine(second)],
    split: splitOf(first),
    headerRoute: { ok: headerOk },
    ledger: { size: checked.size, root: checked.root, verified: checked.ok },
  };
}

/** Requests a version and stays with it until its end is confirmed by measurement. */
async function follow(
  { app, service, clock, signal, say, show }: StoryParts,
  version: string,
  reason: string,
  during: (view: ReleaseView) => Promise<void>,
): Promise<ReleaseView> {
  const { controller } = app;
  const caller = { actor: { kind: 'person' as const, id: 'demo' } };
  const id = await controller.request({ service: service.name, version, reason, supersede: false }, caller);
  const deadlineMs = clock.monoMs() + RELEASE_WITHIN_MS;
  let told = '';
  for (;;) {
    const view = viewOf(app, id);
    show(view);
    const line = turnOf(view);
    if (line !== told) say(line);
    told = line;
    if (view.phase === 'completed' || view.zeroConfirmed || clock.monoMs() > deadlineMs) return view;
    if (view.phase === 'progressing') await during(view);
    await sleep(clock, POLL_MS, signal);
  }
}

function viewOf({ controller }: App, id: string): ReleaseView {
  const release = own(controller.fleet().releases, id);
  if (!release) throw new Error(`the ledger lost ${id}`);
  return releaseView(release, controller.observed());
}

function turnOf(view: ReleaseView): string {
  const what = `${view.id}: ${view.service} ${view.version}`;
  if (view.phase === 'requested') return `${what} is asked for`;
  if (view.phase === 'rolled-back' && view.zeroConfirmed) {
    const after = view.secondsToZero === null ? '' : `, ${view.secondsToZero.toFixed(1)} s after its first failure`;
    return `${what} gets no request any more${after}`;
  }
  if (view.endedAtMs !== null) return `${what} ${view.phase}: ${view.endReason}`;
  const held = view.held ? `, held: ${view.held.reason}` : '';
  return `${what} at ${view.weightBp / 100} %${held}`;
}
