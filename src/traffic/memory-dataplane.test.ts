import { describe, expect, it } from 'vitest';
import { canary, dataPlaneContract, tableWith } from '../../test/contract/dataplane.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { createMemoryDataPlane } from './memory-dataplane.ts';

dataPlaneContract('memory', async () => {
  const clock = createVirtualClock();
  const dataPlane = createMemoryDataPlane(clock);
  return {
    dataPlane,
    ports: [8081, 8082],
    pass: (ms) => clock.advance(ms),
    restart: async () => dataPlane.restart(),
    stop: async () => {},
  };
});

describe('memory data plane faults', () => {
  it('does nothing when it fails, and everything when only the answer is lost', async () => {
    const dataPlane = createMemoryDataPlane(createVirtualClock());
    dataPlane.fault = () => 'failed';
    await expect(dataPlane.apply(tableWith(1, 8081, canary(1000)))).rejects.toMatchObject({
      code: 'traffic/unreachable',
    });
    expect(dataPlane.route('service-b')).toBeNull();
    dataPlane.fault = () => 'failed-but-done';
    await expect(dataPlane.apply(tableWith(1, 8081, canary(1000)))).rejects.toMatchObject({
      code: 'traffic/unreachable',
    });
    expect(dataPlane.weightOf('service-b')).toBe(1000);
  });

  it('counts exposure with the stamps of its clock', async () => {
    const clock = createVirtualClock(1_000);
    const dataPlane = createMemoryDataPlane(clock);
    await dataPlane.apply(tableWith(1, 8081, canary(1000)));
    dataPlane.expose('service-b', 3, 0);
    await clock.advance(50);
    dataPlane.expose('service-b', 2, 1);
    const exposure = (await dataPlane.observe()).services[0]?.exposure;
    expect(exposure).toMatchObject({
      requests: 5,
      failures: 1,
      firstRequestAtMs: 1_000,
      firstFailureAtMs: 1_050,
      lastRequestAtMs: 1_050,
    });
  });
});
