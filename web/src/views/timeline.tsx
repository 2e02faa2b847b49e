import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { LedgerRecord } from '../../../src/ledger/record.ts';
import { get, problemOf } from '../api.ts';
import { count } from '../format.ts';
import { fleet, lookBack, past } from '../live.ts';
import { Badge, Dialog, Empty, Time, type Tone, VirtualList, Ways } from '../parts.tsx';
import { query, setQuery } from '../route.ts';

const ROW_HEIGHT = 44;
const PAGE = 200;
const MAX_PAGES = 60;

interface PageDoc {
  size: number;
  next: number;
  records: LedgerRecord[];
}

const KINDS: { id: string; label: string }[] = [
  { id: '', label: 'everything' },
  { id: 'release.observed', label: 'observations' },
  { id: 'release.step', label: 'steps' },
  { id: 'release.rollback', label: 'rollbacks' },
  { id: 'release.', label: 'releases' },
  { id: 'traffic.', label: 'traffic' },
  { id: 'chaos.', label: 'chaos' },
  { id: 'ledger.', label: 'ledger' },
];

/** Every record, newest first; one can be opened, and the page shown as it was before it. */
export function Timeline() {
  const type = query.value.get('type') ?? '';
  const text = query.value.get('text') ?? '';
  const seq = query.value.get('seq');
  const size = past.value?.beforeSeq ?? fleet.value?.ledger.size ?? 0;
  const [open, setOpen] = useState<LedgerRecord | null>(null);
  useEffect(() => {
    if (seq === null) return;
    get<PageDoc>(`/api/v1/records?from=${Number(seq)}&limit=1`).then((page) => setOpen(page.records[0] ?? null));
  }, [seq]);
  const show = (record: LedgerRecord): void => setQuery('seq', String(record.seq));
  return (
    <div class="timeline">
      <h1 class="hidden">Timeline</h1>
      <div class="bar">
        <label>
          <span class="hidden">Kind of record</span>
          <select value={type} onChange={(event) => setQuery('type', event.currentTarget.value)}>
            {KINDS.map((kind) => (
              <option key={kind.id} value={kind.id}>
                {kind.label}
              </option>
            ))}
          </select>
        </label>
        <input
          type="search"
          placeholder="Release, service, person, word …  ( / )"
          aria-label="Search records"
          value={text}
          onInput={(event) => setQuery('text', event.currentTarget.value)}
        />
        <span class="muted">{count(size)} records</span>
      </div>
      <Scrubber size={fleet.value?.ledger.size ?? 0} />
      {type === '' && text === '' ? (
        <All size={size} show={show} />
      ) : (
        <Found type={type} text={text} size={size} show={show} />
      )}
      {open && (
        <Detail
          record={open}
          onClose={() => {
            setOpen(null);
            setQuery('seq', '');
          }}
        />
      )}
      <Ways cli="evidence show 0" api={`/api/v1/records?from=${Math.max(0, size - 100)}&limit=100`} />
    </div>
  );
}

/** Moves through the ledger; letting go shows the fleet as it was there. */
function Scrubber({ size }: { size: number }) {
  const [at, setAt] = useState<number | null>(null);
  const value = at ?? past.value?.beforeSeq ?? size;
  return (
    <label class="scrubber">
      <span>Look back</span>
      <input
        type="range"
        min="1"
        max={Math.max(1, size)}
        value={value}
        aria-valuetext={value >= size ? 'now' : `before record ${value}`}
        onInput={(event) => setAt(Number(event.currentTarget.value))}
        onChange={(event) => {
          const wanted = Number(event.currentTarget.value);
          lookBack(wanted >= size ? null : wanted).finally(() => setAt(null));
        }}
      />
      <output>{value >= size ? 'now' : `before record ${value}`}</output>
    </label>
  );
}

/** All records: pages are fetched where somebody looks, and the ones long out of sight are let go. */
function All({ size, show }: { size: number; show: (record: LedgerRecord) => void }) {
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
      label="Records, newest first"
      onRange={onRange}
      row={(index) => <Row record={at(index)} seq={size - 1 - index} show={show} />}
    />
  );
}

/** What fits a filter: the server searches on from where it stopped. */
function Found(props: { type: string; text: string; size: number; show: (record: LedgerRecord) => void }) {
  const { type, text, size, show } = props;
  const [found, setFound] = useState<LedgerRecord[]>([]);
  const [state, setState] = useState('');
  useEffect(() => {
    let live = true;
    const search = async (): Promise<void> => {
      let next = 0;
      let all: LedgerRecord[] = [];
      setFound([]);
      while (live && next < size && all.length < 5_000) {
        setState(`searched ${count(next)} of ${count(size)} …`);
        const page = await get<PageDoc>(
          `/api/v1/records?from=${next}&limit=1000&type=${encodeURIComponent(type)}&text=${encodeURIComponent(text)}`,
        );
        next = page.next;
        all = [...page.records.filter((record) => record.seq < size).reverse(), ...all];
        if (live) setFound(all);
      }
      if (live) setState(all.length >= 5_000 ? 'The first 5 000 are shown; narrow the search.' : '');
    };
    const timer = setTimeout(() => search().catch((error) => live && setState(problemOf(error).sentence)), 200);
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, [type, text]);
  return (
    <>
      <p class="muted" role="status">
        {state || `${count(found.length)} found`}
      </p>
      {found.length === 0 && state === '' ? (
        <Empty title="No record fits." />
      ) : (
        <VirtualList
          count={found.length}
          rowHeight={ROW_HEIGHT}
          label="Records found, newest first"
          row={(index) => <Row record={found[index]} seq={found[index]?.seq ?? 0} show={show} />}
        />
      )}
    </>
  );
}

function Row({
  record,
  seq,
  show,
}: {
  record: LedgerRecord | undefined;
  seq: number;
  show: (record: LedgerRecord) => void;
}) {
  if (!record) return <div class="line record muted">record {seq} …</div>;
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

function summary(record: LedgerRecord): { tone: Tone; says: string } {
  const data = record.data as Record<string, unknown>;
  const says = [data.reason, data.why, data.verdict, data.cause].find((value) => typeof value === 'string');
  const looks = Array.isArray(data.looks) ? `${data.looks.length} looks` : '';
  const tone: Tone = /rollback|rolledback|dirty|drift/.test(record.type)
    ? 'bad'
    : /held|paused/.test(record.type)
      ? 'warn'
      : /completed|step\.decided/.test(record.type)
        ? 'good'
        : 'quiet';
  return { tone, says: typeof says === 'string' ? says : looks };
}

function Detail({ record, onClose }: { record: LedgerRecord; onClose: () => void }) {
  const { tone } = summary(record);
  return (
    <Dialog title={`Record ${record.seq}`} onClose={onClose}>
      <p>
        <Badge tone={tone}>{record.type}</Badge> <Time at={Date.parse(record.time)} /> · {record.stream} · by{' '}
        {record.actor.kind} {record.actor.id}
      </p>
      <pre>{JSON.stringify(record, null, 2)}</pre>
      <div class="buttons">
        <button type="button" onClick={() => lookBack(record.seq + 1).then(onClose)}>
          See the page as it was then
        </button>
        <a class="button" href={`/evidence?seq=${record.seq}&from=${record.seq}&to=${record.seq + 1}`}>
          Prove this record
        </a>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
