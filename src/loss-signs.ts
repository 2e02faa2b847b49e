import type { AnchorState } from './ledger/anchors.ts';
import type { LossSign } from './release/events.ts';

/** What those outside know of more records than the `size` that a ledger had when it was opened. */
export function lossSigns(
  size: number,
  known: { watermark: number | null; anchors: readonly AnchorState[] },
): LossSign[] {
  const { watermark, anchors } = known;
  const signs: LossSign[] = [];
  if (watermark !== null && watermark > size) {
    const says = `the ledger had ${watermark} records on this machine, now it has ${size}`;
    signs.push({ by: 'run folder', at: watermark, says });
  }
  for (const { name, aheadSize } of anchors) {
    if (aheadSize === null) continue;
    signs.push({ by: name, at: aheadSize, says: `it has cosigned ${aheadSize} records, the ledger had ${size}` });
  }
  return signs;
}
