import { expect, it } from 'vitest';
import { type Condition, tellConditions } from './conditions.ts';
import { createVirtualClock } from './lib/virtual-clock.ts';

it('says a state once, again when it changes, and when it is over; what mends itself at once is not told', async () => {
  const clock = createVirtualClock();
  const said: string[] = [];
  let now: Condition[] = [];
  const end = tellConditions({ clock, say: (line) => said.push(line), conditions: () => now });
  await clock.advance(3_000);
  now = [{ name: 'traffic', says: 'a router rounds', afterMs: 5_000 }];
  await clock.advance(4_000);
  now = [];
  await clock.advance(3_000);
  expect(said).toEqual([]);
  now = [
    { name: 'traffic', says: 'a router rounds', afterMs: 5_000 },
    { name: 'ledger', says: 'records are lost', afterMs: 0 },
  ];
  await clock.advance(60_000);
  expect(said).toEqual(['ledger: records are lost', 'traffic: a router rounds']);
  now = [{ name: 'traffic', says: 'a router rewrites', afterMs: 5_000 }];
  await clock.advance(60_000);
  now = [];
  await clock.advance(60_000);
  expect(said.slice(2)).toEqual(['traffic: a router rewrites', 'ledger: settled', 'traffic: settled']);
  await end();
});
