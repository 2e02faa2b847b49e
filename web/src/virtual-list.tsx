import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { own } from '../../src/lib/own.ts';

/** Browsers cannot lay out boxes much higher than this, in px. */
const MAX_BOX_PX = 8_000_000;
/** Rows made beyond both edges of what is in sight. */
const OVERSCAN = 4;

interface Props {
  count: number;
  rowHeight: number;
  label: string;
  row: (index: number) => ComponentChildren;
  /** New rows come in front: whoever scrolled down goes on seeing the same ones. */
  growsAtTop?: boolean;
  onRange?: (first: number, last: number) => void;
}

/**
 * Only the rows in sight are in the page, however many there are. Rows have one height. A list higher than a browser can lay out is
 * scrolled by shares: then the scroll position stands for a place in the list. A row that scrolls out gives its elements to
 * the one that scrolls in, so that scrolling changes text and makes no elements.
 */
export function VirtualList({ count, rowHeight, row, onRange, label, growsAtTop = false }: Props) {
  const box = useRef<HTMLElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const whole = count * rowHeight;
  const shown = Math.min(whole, MAX_BOX_PX);
  const scale = shown > height ? (whole - height) / (shown - height) : 1;
  const offset = Math.min(top * scale, Math.max(0, whole - height));
  useAnchor(box, { count, offset, rowHeight, scale, growsAtTop });
  const slots = Math.ceil(height / rowHeight) + 2 * OVERSCAN;
  const first = Math.max(0, Math.min(Math.floor(offset / rowHeight) - OVERSCAN, count - slots));
  const last = Math.min(count, first + slots);
  useEffect(() => onRange?.(first, last), [first, last, onRange]);
  const rows: ComponentChildren[] = [];
  for (let index = first; index < last; index++) {
    rows.push(
      <li
        key={index % slots}
        aria-posinset={index + 1}
        aria-setsize={count}
        class="row"
        style={{ transform: `translateY(${(index - first) * rowHeight}px)`, height: `${rowHeight}px` }}
      >
        {row(index)}
      </li>,
    );
  }
  return (
    <section
      class="scroller"
      ref={box}
      style={{ maxHeight: `${whole + 2}px` }}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling box must be reachable by keyboard
      tabIndex={0}
      aria-label={label}
      onKeyDown={onArrow}
      onScroll={(event) => setTop((event.currentTarget as HTMLElement).scrollTop)}
    >
      <div class="rows" style={{ height: `${shown}px` }}>
        <ul class="window" style={{ transform: `translateY(${first * rowHeight - offset + top}px)` }}>
          {rows}
        </ul>
      </div>
    </section>
  );
}

/** From a row, the arrow keys go to the next one; from the box itself they scroll. */
function onArrow(event: KeyboardEvent): void {
  const way = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' } as const;
  const to = own(way, event.key);
  const row = (event.target as Element).closest?.('li.row');
  if (to === undefined || !row) return;
  event.preventDefault();
  row[to]?.querySelector<HTMLElement>('a, button')?.focus();
}

/** Moves the scroll position by what was put in front of it. At the very top the newest row is what one wants to see. */
function useAnchor(
  box: { current: HTMLElement | null },
  list: { count: number; offset: number; rowHeight: number; scale: number; growsAtTop: boolean },
): void {
  const { count, offset, rowHeight, scale, growsAtTop } = list;
  const before = useRef(count);
  useLayoutEffect(() => {
    const added = count - before.current;
    before.current = count;
    const element = box.current;
    if (!growsAtTop || added <= 0 || !element || element.scrollTop === 0) return;
    element.scrollTop = (offset + added * rowHeight) / scale;
  }, [count]);
}
