import { describe, expect, it } from 'vitest';
import {
  addGroup,
  dropGroup,
  evidence,
  evidenceWithout,
  FIRST_MASS,
  feed,
  multiply,
  multiplyCapped,
  newMixture,
  refill,
  releasedMass,
} from './mixture.ts';

describe('the detector', () => {
  it('starts at 1 and stays there while only reserve is fed in', () => {
    const m = newMixture(6);
    let reserve = 1 - FIRST_MASS;
    for (let i = 0; i < 5000; i++) {
      const mass = releasedMass(reserve, i * 60_000, 60_000, 72 * 3_600_000);
      reserve -= mass;
      feed(m, mass);
      expect(evidence(m, reserve)).toBeCloseTo(1, 9);
    }
    // Past the horizon the last tenth goes in ever more slowly, and never runs out.
    expect(reserve).toBeGreaterThan(0);
    expect(reserve).toBeLessThan(0.1);
  });

  it('stays finite under evidence of any size, and recovers from none', () => {
    const m = newMixture(1);
    for (let i = 0; i < 100; i++) multiply(m, 0, 1e6);
    expect(Number.isFinite(evidence(m, 0.1))).toBe(true);
    for (let i = 0; i < 5000; i++) multiply(m, 0, -1000);
    expect(evidence(m, 0)).toBe(0);
    feed(m, 0.01);
    expect(evidence(m, 0)).toBeCloseTo(0.01, 12);
  });

  it('lets one instance add only so much at once, and never caps evidence of innocence', () => {
    const m = newMixture(1);
    addGroup(m);
    addGroup(m);
    multiplyCapped(m, 0, [50, 0]);
    expect(Math.log(m.s[0]! / FIRST_MASS)).toBeCloseTo(2.5, 12);
    multiplyCapped(m, 0, [50, 0]);
    expect(Math.log(m.s[0]! / FIRST_MASS)).toBeCloseTo(2.5, 12);
    refill(m, 30_000);
    multiplyCapped(m, 0, [50, -3]);
    expect(Math.log(m.s[0]! / FIRST_MASS)).toBeCloseTo(2.5 + 1.25 - 3, 12);
  });

  it('caps net growth: evidence of innocence gives an instance its room back', () => {
    const m = newMixture(1);
    addGroup(m);
    for (let i = 0; i < 20; i++) {
      multiplyCapped(m, 0, [2]);
      multiplyCapped(m, 0, [-2]);
    }
    expect(Math.log(m.s[0]! / FIRST_MASS)).toBeCloseTo(0, 12);
  });

  it('keeps what remains without each instance, and only that once one is dropped', () => {
    const m = newMixture(2);
    addGroup(m);
    addGroup(m);
    multiplyCapped(m, 0, [1, -0.5]);
    multiplyCapped(m, 1, [1, -0.5]);
    expect(Math.log(evidenceWithout(m, 0, 0) / FIRST_MASS)).toBeCloseTo(-0.5, 12);
    expect(Math.log(evidenceWithout(m, 1, 0) / FIRST_MASS)).toBeCloseTo(1, 12);
    dropGroup(m, 0);
    expect(Math.log(evidence(m, 0) / FIRST_MASS)).toBeCloseTo(-0.5, 12);
  });
});
