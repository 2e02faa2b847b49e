import type { LedgerRecord } from '../../../src/ledger/record.ts';
import { Time } from '../parts.tsx';
import { summary } from './summary.ts';

export const ROW_HEIGHT = 44;

/** One record in the list. `seq` stands for it while it is fetched. */
export function Row(props: {
  record: LedgerRecord | undefined;
  seq: number | null;
  show: (record: LedgerRecord) => void;
}) {
  const { record, seq, show } = props;
  if (!record) return <div class="line record muted">{seq === null ? '…' : `record ${seq} …`}</div>;
  const { tone, says } = summary(record);
  return (
    <button type="button" class={`line record ${tone}`} onClick={() => show(record)}>
      <span class="seq">{record.seq}</span>
      <Time at={Date.parse(record.time)} />
      <span class="type">{record.type}</span>
      <span class="stream">{record.stream}</span>
      <span class="says">{says}</span>
    </button>
  );
}
