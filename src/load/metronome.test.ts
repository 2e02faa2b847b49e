import { once } from 'node:events';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMetronome, type Metronome } from './metronome.ts';

let metronome: Metronome;

beforeEach(() => {
  metronome = createMetronome();
});

afterEach(() => metronome.close());

const woken = (atMs: number): Promise<number> =>
  new Promise((resolve) => metronome.wakeAt(atMs, () => resolve(performance.now())));

test('it wakes at every time that was asked for, and never before it', async () => {
  // From before the thread runs until long after.
  for (let i = 0; i < 300; i++) {
    const atMs = performance.now() + (i % 7) * 0.15;
    expect(await woken(atMs)).toBeGreaterThanOrEqual(atMs - 0.002);
  }
});

test('a time that is over wakes at once, but not within the call', async () => {
  for (let i = 0; i < 100; i++) {
    let within = true;
    await new Promise<void>((resolve) => {
      metronome.wakeAt(performance.now() - 5, () => {
        expect(within).toBe(false);
        resolve();
      });
      within = false;
    });
  }
});

test('a call replaces the one before', async () => {
  const calls: string[] = [];
  for (let i = 0; i < 100; i++) {
    metronome.wakeAt(performance.now() + (i % 2 === 0 ? 60_000 : 0.1), () => calls.push('first'));
    const atMs = performance.now() + 0.5;
    expect(await woken(atMs)).toBeGreaterThanOrEqual(atMs - 0.002);
  }
  expect(calls).toEqual([]);
});

test('its thread rings although the notice of the call comes when it waits for the time already', async () => {
  const cell = () => new Int32Array(new SharedArrayBuffer(4));
  const cells = { asked: cell(), rung: cell(), closed: cell(), dueMs: new Float64Array(new SharedArrayBuffer(8)) };
  const thread = new Worker(new URL('./metronome-thread.ts', import.meta.url), { workerData: cells });
  cells.dueMs[0] = Number(process.hrtime.bigint()) / 1e6 + 1_000;
  Atomics.store(cells.asked, 0, 1);
  await once(thread, 'online');
  // A notice wakes whoever waits, and says of how many: then the thread has begun to wait for the time.
  while (Atomics.notify(cells.asked, 0) === 0) await setImmediate();
  const rung = Atomics.waitAsync(cells.rung, 0, 0, 10_000);
  // On a busy machine it has rung before anybody waits for it.
  expect(['ok', 'not-equal']).toContain(await rung.value);
  expect(Atomics.load(cells.rung, 0)).toBe(1);
  await thread.terminate();
});

test('after the end nothing is called', async () => {
  await woken(performance.now() + 50);
  let called = false;
  metronome.wakeAt(performance.now() + 1, () => {
    called = true;
  });
  metronome.close();
  await sleep(10);
  expect(called).toBe(false);
});
