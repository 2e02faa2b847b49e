import { expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { GrowthWatch } from './growth.ts';

it('says what a day would add at the rate of the last hour, and nothing in the first minute', async () => {
  const clock = createVirtualClock();
  const size = { records: 1_000, bytes: 400_000 };
  const watch = new GrowthWatch(clock, () => ({ ...size }));
  await clock.advance(59_000);
  expect(watch.growth()).toBeNull();
  // An hour of quiet, then an hour of one record of 400 bytes a second.
  await clock.advance(3_541_000);
  expect(watch.growth()).toMatchObject({ recordsPerDay: 0, bytesPerDay: 0 });
  for (let minute = 0; minute < 60; minute++) {
    size.records += 60;
    size.bytes += 24_000;
    await clock.advance(60_000);
  }
  const growth = watch.growth()!;
  expect(growth.recordsPerDay).toBeGreaterThan(86_400 * 0.95);
  expect(growth.recordsPerDay).toBeLessThan(86_400 * 1.05);
  expect(growth.bytesPerDay / growth.recordsPerDay).toBeCloseTo(400, 0);
  expect(growth.overMs).toBeLessThanOrEqual(3_660_000);
  expect(watch.size()).toEqual(size);
  watch.stop();
});
