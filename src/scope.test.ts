import { expect, it } from 'vitest';
import { Scope } from './scope.ts';

function opened(ranBefore: boolean): { scope: Scope; closed: [string, boolean][] } {
  const scope = new Scope(ranBefore);
  const closed: [string, boolean][] = [];
  for (const name of ['ledger', 'gateway', 'server']) {
    scope.add(async (leaveRunning) => {
      closed.push([name, leaveRunning]);
      if (name === 'gateway') throw new Error('the gateway does not answer');
    });
  }
  return { scope, closed };
}

it.each([
  ['lets go of what ran before', true],
  ['ends what it began where nothing ran', false],
])('a start that fails %s, the last opened first, and tells what could not be closed', async (_name, ranBefore) => {
  const { scope, closed } = opened(ranBefore);
  expect(await scope.fail()).toEqual([new Error('the gateway does not answer')]);
  expect(closed).toEqual([
    ['server', ranBefore],
    ['gateway', ranBefore],
    ['ledger', ranBefore],
  ]);
  expect(await scope.fail()).toEqual([]);
});

it('a stop closes as it is asked, every part, and rejects with the first failure', async () => {
  const { scope, closed } = opened(true);
  await expect(scope.close(false)).rejects.toThrow('the gateway does not answer');
  expect(closed.map(([, leaveRunning]) => leaveRunning)).toEqual([false, false, false]);
});
