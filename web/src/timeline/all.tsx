import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { LedgerRecord } from '../../../src/ledger/record.ts';
import { get } from '../api.ts';
import { VirtualList } from '../virtual-list.tsx';
import type { PageDoc } from './found.ts';
import { ROW_HEIGHT, Row } from './row.tsx';

const PAGE = 200;
const MAX_PAGES = 60;

/** All records: pages are fetched where somebody looks, and the ones long out of sight are let go. */
export function All({ size, show }: { size: number; show: (record: LedgerRecord) => void }) {
  const pages = useRef(new Map<number, LedgerRecord[] | null>());
  const [, redraw] = useState(0);
  const sizeNow = useRef(size);
  sizeNow.current = size;
  const onRange = useCallback((first: number, last: number) => {
    const from = Math.floor(Math.max(0, sizeNow.current - 1 - last) / PAGE);
    const to = Math.floor(Math.max(0, sizeNow.current - 1 - first) / PAGE);
    for (let page = from; page <= to; page++) fetchPage(page);
  }, []);
  function fetchPage(page: number): void {
    const known = pages.current.get(page);
    const whole = Math.min(PAGE, sizeNow.current - page * PAGE);
    if (known === null || (known && known.length >= whole)) return;
    if (!known) pages.current.set(page, null);
    get<PageDoc>(`/api/v1/records?from=${page * PAGE}&limit=${PAGE}`).then(
      (document) => {
        pages.current.set(page, document.records);
        if (pages.current.size > MAX_PAGES) pages.current.delete(pages.current.keys().next().value as number);
        redraw((n) => n + 1);
      },
      () => pages.current.delete(page),
    );
  }
  useEffect(() => fetchPage(Math.floor(Math.max(0, size - 1) / PAGE)), [size]);
  const at = (index: number): LedgerRecord | undefined => {
    const seq = size - 1 - index;
    return pages.current.get(Math.floor(seq / PAGE))?.[seq % PAGE];
  };
  return (
    <VirtualList
      count={size}
      rowHeight={ROW_HEIGHT}
      growsAtTop
      label="Records, newest first"
      onRange={onRange}
      row={(index) => <Row record={at(index)} seq={size - 1 - index} show={show} />}
    />
  );
}
