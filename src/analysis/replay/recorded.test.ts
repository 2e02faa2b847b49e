import { describe, expect, it } from 'vitest';
import type { Look } from '../judge.ts';
import { judge } from '../tep-judge.ts';
import { type Behaviour, Drive } from '../tick.fixture.ts';
import { type Recorded, replayRecorded } from './recorded.ts';

/** A release of two steps as a ledger holds it: looks, and the decisions that followed from them. */
function recordedRelease(): { drive: Drive; records: Recorded[] } {
  const drive = new Drive();
  const records: Recorded[] = [{ kind: 'step', step: 0, judgement: null }];
  drive.enter(0);
  const look = (canary: Behaviour, stable: Behaviour): string => {
    const tick = drive.tick([canary, canary], [stable, stable], 10_000);
    const seen: Look = { dtMs: 10_000, tick, stepIndex: drive.step, weightBp: drive.step === 0 ? 1000 : 5000 };
    records.push({ kind: 'look', look: structuredClone(seen) });
    return drive.look(tick, 10_000).verdict;
  };
  while (look({ requests: 400, errors: 0.001 }, { requests: 3600, errors: 0.001 }) !== 'advance');
  records.push({ kind: 'step', step: 1, judgement: drive.last });
  drive.enter(1);
  while (look({ requests: 2000, errors: 0.02 }, { requests: 2000, errors: 0.001 }) !== 'rollback');
  records.push({ kind: 'decision', what: 'rollback', judgement: drive.last });
  return { drive, records };
}

describe('a recorded release, judged again', () => {
  it('gives every recorded verdict and its evidence', () => {
    const { drive, records } = recordedRelease();
    const found = replayRecorded(judge, drive.setup, records);
    expect(found.compared.map(({ what, same }) => [what, same])).toEqual([
      ['step 2', true],
      ['rollback', true],
    ]);
    expect(found.judgement).toEqual(drive.last);
  });

  it('shows where a changed record no longer gives the recorded verdict', () => {
    const { drive, records } = recordedRelease();
    const last = records.findLast((record) => record.kind === 'look');
    last!.look.tick!.versions.v2![0]!.errors = 0;
    const found = replayRecorded(judge, drive.setup, records);
    expect(found.compared.map(({ same }) => same)).toEqual([true, false]);
  });
});
