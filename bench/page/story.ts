import type { Look } from '../../src/analysis/judge.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { type ReleaseEvent, toNewEvent } from '../../src/release/events.ts';
import { requestedV2, stepOf } from '../../src/release/release.fixture.ts';

/** A long life in a ledger: release after release, each with looks that hold real counts, for the judge to judge again. */
const RECORDS_PER_RELEASE = 200;
const EDGES_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000];

export async function writeStory(ledger: Ledger, records: number): Promise<void> {
  await append(ledger, [{ type: 'service.declared', data: { service: 'shop', stable: 'v1' } }]);
  for (let n = 1; ledger.head().size < records; n++) {
    await append(ledger, releaseStory(`shop-${n}`).slice(0, records - ledger.head().size));
  }
}

function append(ledger: Ledger, events: ReleaseEvent[]): Promise<unknown> {
  return ledger.append(events.map((event) => toNewEvent(event)));
}

function releaseStory(release: string): ReleaseEvent[] {
  const requested = { ...requestedV2, data: { ...requestedV2.data, release } } as ReleaseEvent;
  const step = stepOf(0) as Extract<ReleaseEvent, { type: 'release.step.decided' }>;
  const looks = Array.from({ length: RECORDS_PER_RELEASE - 3 }, (_, i): ReleaseEvent => {
    return { type: 'release.observed', data: { release, looks: [look(i)] } };
  });
  return [
    requested,
    { ...step, data: { ...step.data, release } },
    ...looks,
    { type: 'release.cancelled', data: { release, reason: 'the next one is better' } },
  ];
}

function look(i: number): Look {
  const instance = (name: string, requests: number) => ({
    instance: name,
    requests,
    errors: i % 50 === 0 ? 1 : 0,
    over: EDGES_MS.map((edge) => Math.round(requests * Math.min(1, 4 / edge))),
  });
  const versions = {
    v1: [instance('shop/v1/1', 90 + (i % 7)), instance('shop/v1/2', 90 + (i % 5))],
    v2: [instance('shop/v2/1', 10 + (i % 3)), instance('shop/v2/2', 10)],
  };
  const tick = { t: i + 1, dtMs: 1_000, edges: EDGES_MS, versions };
  return { dtMs: 1_000, tick, stepIndex: 0, weightBp: 1_000 };
}
