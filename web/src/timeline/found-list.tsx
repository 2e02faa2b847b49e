import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { LedgerRecord } from '../../../src/ledger/record.ts';
import { problemOf } from '../api.ts';
import { count } from '../format.ts';
import { Empty } from '../parts.tsx';
import { VirtualList } from '../virtual-list.tsx';
import { Found } from './found.ts';
import { ROW_HEIGHT, Row } from './row.tsx';
import { typesOf } from './summary.ts';

/** Typing is over when nothing came for this long. */
const PAUSE_MS = 200;

/** What fits the filter. */
export function FoundList(props: {
  kind: string;
  text: string;
  /** Looking back: only records before this one; null shows new ones as they come. */
  beforeSeq: number | null;
  size: number;
  show: (record: LedgerRecord) => void;
}) {
  const { kind, text, beforeSeq, size, show } = props;
  const [, redraw] = useState(0);
  const found = useRef<Found | null>(null);
  const range = useRef({ first: 0, last: 20 });
  const sizeNow = useRef(size);
  sizeNow.current = size;
  useEffect(() => {
    const changed = (): void => {
      redraw((n) => n + 1);
      found.current?.look(range.current.first, range.current.last);
      if (beforeSeq === null) found.current?.grown(sizeNow.current);
    };
    const timer = setTimeout(() => {
      found.current?.close();
      found.current = new Found({ types: typesOf(kind), text }, beforeSeq ?? sizeNow.current, changed);
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      found.current?.close();
      found.current = null;
    };
  }, [kind, text, beforeSeq]);
  useEffect(() => {
    if (beforeSeq === null) found.current?.grown(size);
  }, [size, beforeSeq]);
  const onRange = useCallback((first: number, last: number) => {
    range.current = { first, last };
    found.current?.look(first, last);
  }, []);
  const now = found.current;
  const hits = now?.count ?? 0;
  return (
    <>
      <p class="muted" role="status">
        {statusOf(now)}
      </p>
      {now?.done && hits === 0 ? (
        <Empty title="No record fits." />
      ) : (
        <VirtualList
          count={hits}
          rowHeight={ROW_HEIGHT}
          growsAtTop
          label="Records found, newest first"
          onRange={onRange}
          row={(index) => <Row record={now?.at(index)} seq={null} show={show} />}
        />
      )}
    </>
  );
}

function statusOf(found: Found | null): string {
  if (found === null) return 'searching …';
  if (found.problem !== null) return problemOf(found.problem).sentence;
  if (found.done) return `${count(found.count)} found`;
  return `${count(found.count)} found so far, searched back to record ${count(found.searchedTo)}; scroll on for more`;
}
