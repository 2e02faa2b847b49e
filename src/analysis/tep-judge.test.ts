import { describe, expect, it } from 'vitest';
import type { Tick } from '../metrics/tick.ts';
import { judge } from './tep-judge.ts';
import { type Behaviour, Drive, EDGES, policyOf, row } from './tick.fixture.ts';

const good = (requests: number): Behaviour => ({ requests, errors: 0.001 });
const three = (one: Behaviour): Behaviour[] => [one, one, one];

describe('given a canary as good as stable', () => {
  it('advances only after the hold, with the proven bound and the figures in the reason', () => {
    const drive = new Drive();
    const found = drive.until(three(good(30)), three(good(270)), 2000);
    expect(found.verdict).toBe('advance');
    expect(drive.t).toBe(900);
    expect(found.promote.passed).toBe(true);
    expect(found.promote.harmBoundShare).toBeLessThanOrEqual(0.001);
    expect(found.reason).toContain('0.1 % of 81,000 requests');
  });

  it('goes on to a step that a person decided before anything was counted', () => {
    const drive = new Drive();
    drive.look(null, 1000, 'the metrics cannot be read');
    drive.enter(1);
    expect(drive.look(drive.tick(three(good(150)), three(good(150)))).verdict).toBe('continue');
  });

  it('starts proof and hold afresh in a new step, and keeps the evidence of harm', () => {
    const drive = new Drive();
    drive.until(three(good(30)), three(good(270)), 900);
    const before = drive.last!.evidence.total;
    drive.enter(1);
    const first = drive.look(drive.tick(three(good(150)), three(good(150))));
    expect(first.verdict).toBe('continue');
    expect(first.heldMs).toBe(1000);
    expect(first.promote.passed).toBe(false);
    expect(first.evidence.total).toBeCloseTo(before, 1);
  });

  it('finishes the watch at 100 % against what stable did before', () => {
    const drive = new Drive();
    drive.until(three(good(30)), three(good(270)), 900);
    drive.enter(2);
    expect(drive.until(three(good(300)), [], 2000).verdict).toBe('advance');
    expect(drive.last!.heldMs).toBe(600_000);
  });

  it('finishes the watch where stable was seen too briefly for its slower half to be a margin', () => {
    const promote = { ...policyOf().promote, latency: { ratio: 2, plusShare: 0.2 } };
    const drive = new Drive(policyOf({ promote }));
    drive.until(three(good(20)), three(good(180)), 20);
    drive.enter(2);
    expect(drive.until(three(good(300)), [], 2000).verdict).toBe('advance');
  });

  it('finishes the watch of a service that takes as long as an edge says: half of its requests above it, none above the next', () => {
    const promote = { ...policyOf().promote, latency: { ratio: 2, plusShare: 0.2 } };
    const drive = new Drive(policyOf({ promote }));
    const atAnEdge = (requests: number): Behaviour => ({ ...good(requests), survival: [1, 0.5, 0, 0, 0, 0, 0, 0] });
    drive.until(three(atAnEdge(30)), three(atAnEdge(270)), 900);
    drive.enter(2);
    expect(drive.until(three(atAnEdge(300)), [], 2000).verdict).toBe('advance');
  });

  it('promises no time for a proof that no traffic can give', () => {
    const promote = { ...policyOf().promote, latency: { ratio: 2, plusShare: 0.2 } };
    const steps = policyOf().steps.map((step) => ({ ...step, limits: { ...step.limits, latency: [] } }));
    const drive = new Drive(policyOf({ promote, steps }));
    const beyond = (requests: number): Behaviour => ({ ...good(requests), survival: [1, 1, 1, 1, 1, 1, 1, 0.5] });
    drive.until(three(beyond(30)), three(beyond(270)), 900);
    drive.enter(2);
    const found = drive.until(three(beyond(300)), [], 900);
    expect(found.verdict).toBe('continue');
    expect(found.reason).toContain("enough of stable's latency");
    expect(found.promote).toMatchObject({ needRequests: null, needMs: null });
  });

  it('says how much traffic is missing while the proof is not there', () => {
    const drive = new Drive();
    const found = drive.until([good(1)], [good(9)], 300);
    expect(found.verdict).toBe('continue');
    expect(found.promote.needRequests).toBeGreaterThan(1000);
    expect(found.promote.needMs).toBeCloseTo(found.promote.needRequests! * 1000, -4);
  });

  it('is inconclusive, never promoted, when the traffic cannot prove it', () => {
    const drive = new Drive(policyOf({ inconclusive: { holdMs: 600_000, then: 'hold' } }));
    const found = drive.until([good(0.1)], [good(0.9)], 4000);
    expect(found.verdict).toBe('inconclusive');
    expect(drive.t).toBe(1500);
  });

  it('rolls back instead when the policy says so', () => {
    const drive = new Drive(policyOf({ inconclusive: { holdMs: 60_000, then: 'rollback' } }));
    expect(drive.until([good(0.1)], [good(0.9)], 4000)).toMatchObject({ verdict: 'rollback', speed: 'no-data' });
  });
});

describe('given a worse canary', () => {
  const cases: {
    name: string;
    canary: Behaviour[];
    stable: Behaviour[];
    dtMs: number;
    within: number;
    speed: string;
    says: RegExp;
  }[] = [
    {
      name: 'half of the requests fail',
      canary: three({ requests: 34, errors: 0.5 }),
      stable: three(good(300)),
      dtMs: 1000,
      within: 1,
      speed: 'instant',
      says: /fails 50 % of 102 requests/,
    },
    {
      name: '0.5 % fail instead of 0.1 %',
      canary: [{ requests: 300, errors: 0.005 }],
      stable: [good(2700)],
      dtMs: 30_000,
      within: 13,
      speed: 'statistical',
      says: /Canary fails 0\.5 % of .* stable 0\.1 % of .*; evidence .* ≥ 100/,
    },
    {
      name: 'twice as many requests are slow',
      canary: three({ requests: 100, errors: 0.001, slower: 2 }),
      stable: three(good(900)),
      dtMs: 10_000,
      within: 60,
      speed: 'statistical',
      says: /take over \d+ ms/,
    },
    {
      name: 'it gets twice its share of the traffic',
      canary: three(good(20)),
      stable: three(good(80)),
      dtMs: 1000,
      within: 200,
      speed: 'statistical',
      says: /canary gets 20 %/i,
    },
    {
      name: 'a limit is broken for the declared time, whatever the statistics say',
      canary: [{ requests: 60, errors: 0.026 }],
      stable: [{ requests: 540, errors: 0.008 }],
      dtMs: 30_000,
      within: 10,
      speed: 'sustained',
      says: /broken its limit for 5 min/,
    },
  ];
  it.each(cases)('rolls back when $name', ({ canary, stable, dtMs, within, speed, says }) => {
    const drive = new Drive();
    const found = drive.until(canary, stable, 3000, dtMs, ['hold']);
    expect(found).toMatchObject({ verdict: 'rollback', speed });
    expect(drive.t).toBeLessThanOrEqual((within * dtMs) / 1000);
    expect(found.reason).toMatch(says);
  });

  it('finds a regression that begins late', () => {
    const drive = new Drive(
      policyOf({ steps: [{ weightBp: 1000, holdMs: 86_400_000, limits: { errorShare: 0.01, latency: [] } }] }),
    );
    for (let i = 0; i < 1440; i++) drive.look(drive.tick([good(300)], [good(2700)], 30_000), 30_000);
    expect(drive.last!.verdict).toBe('continue');
    const onset = drive.t;
    expect(drive.until([{ requests: 300, errors: 0.005 }], [good(2700)], 200, 30_000).verdict).toBe('rollback');
    expect(drive.t - onset).toBeLessThanOrEqual(20 * 60);
  });

  it('never tells evidence that a ledger, a report or another reader of JSON cannot hold', () => {
    const drive = new Drive(policyOf({ instant: null, sustainedMs: 86_400_000 }));
    let most = 0;
    for (let i = 0; i < 300; i++) {
      const found = drive.look(drive.tick(three({ requests: 400, errors: 0.9 }), three(good(3600)), 10_000), 10_000);
      most = Math.max(most, found.evidence.total, ...found.evidence.metrics.map(({ evidence }) => evidence));
    }
    expect(most).toBe(1e15);
  });

  it('names the metrics that decided and reports none for a healthy one', () => {
    const drive = new Drive();
    const found = drive.until([{ requests: 300, errors: 0.03 }], [good(2700)], 10, 30_000);
    const named = found.evidence.metrics.filter((metric) => metric.named).map((metric) => metric.name);
    expect(named).toContain('errors');
    expect(named).not.toContain('latency');
    expect(found.evidence.metrics.reduce((sum, metric) => sum + metric.weight, 0)).toBeCloseTo(1, 12);
  });
});

describe('given one bad instance of three', () => {
  it('names it, holds, and does not blame the version', () => {
    const drive = new Drive();
    const canary = [{ requests: 30, errors: 0.4 }, good(30), good(30)];
    const found = drive.until(canary, three(good(270)), 200);
    expect(found).toMatchObject({ verdict: 'pod-fault', speed: null, instance: 'v2/1' });
    expect(found.reason).toContain('v2/1');
  });

  it('does the same for a small fault that only evidence can show', () => {
    const drive = new Drive();
    const canary = [{ requests: 30, errors: 0.02 }, good(30), good(30)];
    const found = drive.until(canary, three(good(270)), 3000, 1000, ['hold']);
    expect(found.verdict).toBe('pod-fault');
    expect(drive.last!.instance).toBe('v2/1');
  });

  it('names the slow one among more instances than are watched one by one', () => {
    const drive = new Drive(
      policyOf({
        instant: null,
        steps: [{ weightBp: 1000, holdMs: 3_600_000, limits: { errorShare: null, latency: [] } }],
      }),
    );
    const canary = Array.from(
      { length: 12 },
      (_, i): Behaviour => ({ requests: 60, errors: 0.001, slower: i === 9 ? 6 : 1 }),
    );
    const found = drive.until(canary, three(good(2160)), 600, 5000, ['hold']);
    expect(found).toMatchObject({ verdict: 'pod-fault', instance: 'v2/10' });
  });

  it('goes on with clean evidence once the instance was replaced', () => {
    const drive = new Drive();
    drive.until([{ requests: 30, errors: 0.4 }, good(30), good(30)], three(good(270)), 200);
    drive.state = judge.instanceFate(drive.setup, drive.state, 'v2/1', 'gone');
    const after = drive.look(drive.tick(three(good(30)), three(good(270))));
    expect(after.verdict).toBe('continue');
  });

  it("counts its failures as the version's when nothing can be done about it", () => {
    const drive = new Drive();
    const canary = [{ requests: 30, errors: 0.4 }, good(30), good(30)];
    expect(drive.until(canary, three(good(270)), 200).verdict).toBe('pod-fault');
    drive.state = judge.instanceFate(drive.setup, drive.state, 'v2/1', 'stays');
    const asked = drive.t;
    expect(drive.until(canary, three(good(270)), 60, 1000, ['hold']).verdict).toBe('rollback');
    expect(drive.t - asked).toBeLessThanOrEqual(10);
  });

  it('rolls back when all three are bad', () => {
    const drive = new Drive();
    expect(drive.until(three({ requests: 30, errors: 0.4 }), three(good(270)), 200, 1000, ['hold']).verdict).toBe(
      'rollback',
    );
  });
});

describe('given trouble that is not the canary', () => {
  it('holds when both arms break the limit alike', () => {
    const drive = new Drive();
    const both: Behaviour = { requests: 100, errors: 0.03 };
    const found = drive.until(three(both), three({ ...both, requests: 900 }), 3000);
    expect(found.verdict).toBe('hold');
    expect(found.reason).toContain('not worse than stable');
  });

  it('rolls back in the same situation when the policy says so', () => {
    const drive = new Drive(policyOf({ sharedIncident: 'rollback' }));
    const both: Behaviour = { requests: 100, errors: 0.03 };
    expect(drive.until(three(both), three({ ...both, requests: 900 }), 3000, 1000, ['hold']).verdict).toBe('rollback');
  });

  it("holds while stable's own instances disagree (placebo)", () => {
    const drive = new Drive(policyOf({ instant: null }));
    const stable = [{ requests: 300, errors: 0.04 }, good(300), good(300), good(300)];
    let found = drive.look(drive.tick([good(135)], stable));
    for (let i = 0; i < 900 && found.verdict === 'continue'; i++) found = drive.look(drive.tick([good(135)], stable));
    expect(found.verdict).toBe('hold');
    expect(found.reason).toContain('environment is unstable');
  });

  it('holds when total throughput falls far below its forecast', () => {
    const drive = new Drive();
    let verdict = 'continue';
    for (let i = 0; i < 60 && verdict === 'continue'; i++) {
      const tick = drive.tick([good(10)], [good(90)]);
      const look = { dtMs: 1000, tick, stepIndex: 0, weightBp: 1000, forecastRequests: 400 };
      const result = judge.look(drive.setup, drive.state, look);
      drive.state = result.state;
      verdict = result.judgement.verdict;
    }
    expect(verdict).toBe('hold');
  });
});

describe('given a canary that starts cold', () => {
  const policy = policyOf({
    warmupMs: 60_000,
    instant: null,
    steps: [{ weightBp: 1000, holdMs: 60_000, limits: { errorShare: null, latency: [] } }],
  });
  /** Looks of one second: the canary is slower by this factor on the share above each edge. */
  const run = (drive: Drive, slower: (second: number) => number, seconds: number, ageMs?: number): string[] => {
    const verdicts: string[] = [];
    for (let i = 0; i < seconds; i++) {
      const canary = three({
        requests: 34,
        errors: 0.001,
        slower: slower(drive.t),
        ...(ageMs === undefined ? {} : { ageMs }),
      });
      verdicts.push(drive.look(drive.tick(canary, three(good(306)))).verdict);
    }
    return verdicts;
  };

  it('holds what is slow in its warm-up, says its age, and lets it pass when it fades', () => {
    const drive = new Drive(policy);
    const fading = (second: number): number => 1 + 4 * Math.exp(-second / 20);
    const verdicts = run(drive, fading, 50);
    expect(verdicts).toContain('hold');
    expect(verdicts).not.toContain('rollback');
    expect(drive.last!.reason).toMatch(
      /May be a cold start: .* has served for 49 s; latency counts after the warm-up of 60 s/,
    );
    expect(run(drive, fading, 500)).not.toContain('rollback');
    expect(drive.last!.promote.passed).toBe(true);
  });

  it('holds on after the warm-up while its latency still falls', () => {
    const drive = new Drive(policy);
    const slowly = (second: number): number => 1 + 8 * Math.exp(-second / 45);
    expect(run(drive, slowly, 61)).not.toContain('rollback');
    const after = run(drive, slowly, 400);
    expect(after).not.toContain('rollback');
    expect(after).toContain('hold');
  });

  it('rolls back what stays slow, soon after the warm-up', () => {
    const drive = new Drive(policy);
    expect(run(drive, () => 2, 60)).not.toContain('rollback');
    expect(run(drive, () => 2, 60)).toContain('rollback');
  });

  it('rolls back what stays slow after it was slower still', () => {
    const drive = new Drive(policy);
    expect(run(drive, (second) => 2 + 4 * Math.exp(-second / 15), 180)).toContain('rollback');
  });

  it('counts failures at any age', () => {
    const drive = new Drive(policy);
    const failing = three({ requests: 34, errors: 0.05 });
    expect(drive.until(failing, three(good(306)), 40, 1000, ['hold'])).toMatchObject({ verdict: 'rollback' });
    expect(drive.t).toBeLessThan(40);
  });

  it('takes the first request for the start where the source knows none', () => {
    const drive = new Drive(policy);
    for (let i = 0; i < 100; i++) drive.look(drive.tick(three({ requests: 0, errors: 0 }), three(good(306))));
    const verdicts = run(drive, () => 2, 59);
    expect(verdicts).not.toContain('rollback');
  });

  it('believes a source that knows of a restart', () => {
    const drive = new Drive(policy);
    run(drive, () => 1, 400);
    expect(run(drive, () => 3, 100, 1000)).not.toContain('rollback');
  });
});

describe('given no data', () => {
  it('holds at once, resumes when data is back, and counts nothing meanwhile', () => {
    const drive = new Drive();
    drive.until(three(good(30)), three(good(270)), 60);
    const before = drive.last!;
    for (let i = 0; i < 5; i++) {
      const found = drive.look(null, 1000, 'the metrics cannot be read');
      expect(found).toMatchObject({ verdict: 'hold', heldMs: before.heldMs });
      expect(found.evidence.total).toBeCloseTo(before.evidence.total, 12);
    }
    expect(drive.look(drive.tick(three(good(30)), three(good(270)))).verdict).toBe('continue');
  });

  it('rolls back after the declared time without metrics', () => {
    const drive = new Drive();
    drive.look(drive.tick(three(good(30)), three(good(270))));
    let found = drive.look(null);
    let looks = 1;
    while (found.verdict === 'hold') {
      found = drive.look(null);
      looks++;
    }
    expect(found).toMatchObject({ verdict: 'rollback', speed: 'no-data' });
    expect(looks).toBe(300);
  });

  it('treats a silent canary like missing metrics after three looks', () => {
    const drive = new Drive();
    const verdicts = [1, 2, 3, 4].map(() => drive.look(drive.tick([], three(good(270)))).verdict);
    expect(verdicts).toEqual(['continue', 'continue', 'hold', 'hold']);
  });

  it('never advances without traffic, and is inconclusive in the end', () => {
    const drive = new Drive(policyOf({ inconclusive: { holdMs: 60_000, then: 'hold' } }));
    const found = drive.until([{ requests: 0, errors: 0 }], [{ requests: 0, errors: 0 }], 2000);
    expect(found).toMatchObject({ verdict: 'inconclusive', heldMs: 0 });
  });

  it('holds when stable is silent: nothing to compare with', () => {
    const drive = new Drive();
    const verdicts = [1, 2, 3].map(() => drive.look(drive.tick(three(good(30)), [])).verdict);
    expect(verdicts).toEqual(['continue', 'continue', 'hold']);
    expect(drive.last!.heldMs).toBe(0);
  });
});

describe('given bad input, a named outcome and no exception', () => {
  const one = row('a', { requests: 100, errors: 0.01 });
  const bad: { name: string; change: (tick: Tick) => unknown; says: RegExp }[] = [
    {
      name: 'NaN',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, errors: Number.NaN }] } }),
      says: /errors is NaN/,
    },
    {
      name: 'a negative count',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, requests: -5 }] } }),
      says: /requests is -5/,
    },
    {
      name: 'a string',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, requests: '100' }] } }),
      says: /requests is "100"/,
    },
    {
      name: 'null',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, errors: null }] } }),
      says: /errors is null/,
    },
    {
      name: 'infinity',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, requests: Number.POSITIVE_INFINITY }] } }),
      says: /Infinity/,
    },
    {
      name: 'more errors than requests',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, errors: 101 }] } }),
      says: /101 errors of 100 requests/,
    },
    {
      name: 'counts that rise with the edge',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, over: [1, 2, 0, 0, 0, 0, 0, 0] }] } }),
      says: /slower than latency edge 2/,
    },
    {
      name: 'too few edge counts',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, over: [1] }] } }),
      says: /counts 1 latency edges of 8/,
    },
    {
      name: 'a negative number of requests sent',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, started: -1 }] } }),
      says: /number of requests sent is -1/,
    },
    {
      name: 'waiting requests at other edges',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, waiting: [1] }] } }),
      says: /counts waiting requests at 1 latency edges of 8/,
    },
    {
      name: 'more requests that ceased to wait than ended',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, waiting: one.over.map(() => -100) }] } }),
      says: /count above latency edge 1 with those that wait is -1/,
    },
    {
      name: 'more lost requests than ended',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, unserved: 200 }] } }),
      says: /201 of 100 requests are lost/,
    },
    {
      name: 'unanswered requests that are no number',
      change: (t) => ({ ...t, versions: { ...t.versions, v2: [{ ...one, unanswered: null }] } }),
      says: /number of unanswered requests is null/,
    },
    {
      name: 'clients dealt that are no number',
      change: (t) => ({ ...t, clients: { dealt: { v1: 'many' }, diverted: 0 } }),
      says: /clients dealt to v1 are "many"/,
    },
    {
      name: 'clients without counts',
      change: (t) => ({ ...t, clients: null }),
      says: /clients are no counts/,
    },
    {
      name: 'edges that changed',
      change: (t) => ({ ...t, edges: EDGES.map((edge) => edge * 2) }),
      says: /edges changed/,
    },
    { name: 'edges that fall', change: (t) => ({ ...t, edges: [...EDGES].reverse() }), says: /do not rise/ },
    { name: 'a clock that stepped back', change: (t) => ({ ...t, t: t.t - 3600 }), says: /stepped back/ },
    { name: 'a repeated reading', change: (t) => ({ ...t, t: t.t - 1 }), says: /repeated reading/ },
    { name: 'no versions', change: (t) => ({ ...t, versions: null }), says: /no versions/ },
    { name: 'a row that is no object', change: (t) => ({ ...t, versions: { v2: [null] } }), says: /not an object/ },
    {
      name: 'too many instances',
      change: (t) => ({ ...t, versions: { v2: new Array(2001).fill(one) } }),
      says: /more than 2000 instances/,
    },
    { name: 'no tick at all', change: () => undefined, says: /gave nothing/ },
  ];
  it.each(bad)('$name holds', ({ change, says }) => {
    const drive = new Drive();
    drive.until(three(good(30)), three(good(270)), 20);
    const before = drive.last!;
    const found = drive.look(change(drive.tick(three(good(30)), three(good(270)))) as Tick);
    expect(found).toMatchObject({ verdict: 'hold', heldMs: before.heldMs });
    expect(found.reason).toMatch(says);
    const [next] = [1, 2].map(() => drive.look(drive.tick(three(good(30)), three(good(270))))).slice(-1);
    expect(next!.verdict).toBe('continue');
  });

  it.each([Number.NaN, -1000, Number.POSITIVE_INFINITY, 1e15])('an interval of %s ms proves nothing', (dtMs) => {
    const drive = new Drive();
    drive.until(three(good(30)), three(good(270)), 20);
    const before = drive.last!.heldMs;
    const found = drive.look(drive.tick(three(good(30)), three(good(270))), dtMs);
    expect(found.heldMs - before).toBeLessThanOrEqual(1000);
    expect(found.verdict).toBe('continue');
  });

  it('a version named like a property of Object is just missing', () => {
    const drive = new Drive(policyOf(), { canary: 'constructor' });
    const verdicts = [1, 2, 3].map(() => drive.look(drive.tick(three(good(30)), three(good(270)))).verdict);
    expect(verdicts.at(-1)).toBe('hold');
  });
});
