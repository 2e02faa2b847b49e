import { useEffect, useState } from 'preact/hooks';
import type { LedgerRecord } from '../../../src/ledger/record.ts';
import { visibleJson } from '../../../src/lib/outside-text/json.ts';
import { exact } from '../api.ts';
import { count } from '../format.ts';
import { fleet, lookBack, past } from '../live.ts';
import { Badge, Dialog, Time, Ways } from '../parts.tsx';
import { query, setQuery } from '../route.ts';
import { shown } from '../shown.ts';
import { All } from '../timeline/all.tsx';
import type { PageDoc } from '../timeline/found.ts';
import { FoundList } from '../timeline/found-list.tsx';
import { KINDS, summary, typesOf } from '../timeline/summary.ts';

/** Every record, newest first; one can be opened, and the page shown as it was before it. */
export function Timeline() {
  const kind = query.value.get('type') ?? '';
  const text = query.value.get('text') ?? '';
  const seq = query.value.get('seq');
  const beforeSeq = past.value?.beforeSeq ?? null;
  const size = beforeSeq ?? fleet.value?.ledger.size ?? 0;
  const [open, setOpen] = useState<LedgerRecord | null>(null);
  useEffect(() => {
    if (seq === null) return;
    exact<PageDoc>(`/api/v1/records?from=${Number(seq)}&limit=1`).then((page) => setOpen(page.records[0] ?? null));
  }, [seq]);
  const show = (record: LedgerRecord): void => setQuery('seq', String(record.seq));
  const filtered = kind !== '' || text !== '';
  const filter = `&type=${encodeURIComponent(typesOf(kind).join(','))}&text=${encodeURIComponent(text)}`;
  return (
    <div class="timeline">
      <h1 class="hidden">Timeline</h1>
      <div class="bar">
        <label>
          <span class="hidden">Kind of record</span>
          <select value={kind} onChange={(event) => setQuery('type', event.currentTarget.value)}>
            {KINDS.map((one) => (
              <option key={one.id} value={one.id}>
                {one.label}
              </option>
            ))}
            {KINDS.every((one) => one.id !== kind) && <option value={kind}>{kind}</option>}
          </select>
        </label>
        <input
          type="search"
          placeholder="Release, service, person, word …  ( / )"
          aria-label="Search records"
          maxLength={100}
          value={text}
          onInput={(event) => setQuery('text', event.currentTarget.value)}
        />
        <span class="muted">{count(size)} records</span>
      </div>
      <Scrubber size={fleet.value?.ledger.size ?? 0} />
      {filtered ? (
        <FoundList kind={kind} text={text} beforeSeq={beforeSeq} size={size} show={show} />
      ) : (
        <All size={size} show={show} />
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
      <Ways
        cli={`evidence show ${open?.seq ?? Math.max(0, size - 1)}`}
        api={`/api/v1/records?before=${size}&limit=100${filtered ? filter : ''}`}
      />
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

/** The record in words, and as it is written: what would not be seen stands escaped there. */
function Detail({ record: written, onClose }: { record: LedgerRecord; onClose: () => void }) {
  const record = shown(written);
  const { tone, says } = summary(record);
  return (
    <Dialog title={`Record ${record.seq}`} onClose={onClose}>
      <p>
        <Badge tone={tone}>{record.type}</Badge> <Time at={Date.parse(record.time)} /> · {record.stream} · by{' '}
        {record.actor.kind} {record.actor.id}
      </p>
      {says !== '' && <p>{says}</p>}
      <pre>{visibleJson(JSON.stringify(written, null, 2))}</pre>
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
