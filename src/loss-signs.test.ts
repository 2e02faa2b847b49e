import { expect, it } from 'vitest';
import type { AnchorState } from './ledger/anchors.ts';
import { lossSigns } from './loss-signs.ts';

const witness = (aheadSize: number | null): AnchorState => ({
  ...{ name: 'witness w', size: 5, atMs: 1, problem: null, sinceMs: null, aheadSize },
});

it.each([
  ['nothing is known', { watermark: null, anchors: [] }, []],
  ['the run folder has seen as many', { watermark: 60, anchors: [witness(null)] }, []],
  ['the run folder has seen more', { watermark: 61, anchors: [] }, [['run folder', 61]]],
  ['a witness has cosigned more', { watermark: 12, anchors: [witness(90)] }, [['witness w', 90]]],
])('%s', (_name, known, expected) => {
  expect(lossSigns(60, known).map(({ by, at }) => [by, at])).toEqual(expected);
});
