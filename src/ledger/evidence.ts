import { DavyError } from '../lib/error.ts';
import { noSuch } from '../lib/nearest.ts';
import { ledgerErrors } from './errors.ts';
import type { Actor, Attachment, LedgerRecord, NewEvent } from './record.ts';

const EVIDENCE_ADDED = 'evidence.added';
const EVIDENCE_COLLECTED = 'evidence.collected';

/** The event for a file that a person added, or for what Davy collected by itself. */
export function evidenceEvent(
  att: Attachment,
  about: { release: string | null; kind: string; actor?: Actor; cause?: string },
): NewEvent {
  const event: NewEvent = {
    type: about.actor?.kind === 'person' ? EVIDENCE_ADDED : EVIDENCE_COLLECTED,
    stream: 'evidence',
    data: { kind: about.kind, ...(about.release !== null && { release: about.release }) },
    att: [att],
  };
  if (about.actor) event.actor = about.actor;
  if (about.cause !== undefined) event.cause = about.cause;
  return event;
}

/** Which release a record is about, or null. */
export function releaseOf(record: LedgerRecord): string | null {
  if (typeof record.data.release === 'string') return record.data.release;
  return record.stream.startsWith('release/') ? record.stream.slice('release/'.length) : null;
}

/** Name of the folder that an attachment is exported to: its release, else the kind of thing its record belongs to. */
export function folderOf(record: LedgerRecord): string {
  const name = releaseOf(record) ?? record.stream.split('/').slice(0, 2).join('-');
  return slugOf(name);
}

/** Lower case, digits and hyphens; never empty, never a path. */
export function slugOf(text: string): string {
  const slug = text
    .toLowerCase()
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 80);
  return slug === '' ? 'unnamed' : slug;
}

/** `20250926T222834Z` */
export function compactTime(time: string): string {
  return `${time.slice(0, 19).replace(/[-:]/g, '')}Z`;
}

/** `<YYYYMMDDTHHMMSSZ>-<slug>.<ext>` */
export function evidenceFileName(record: LedgerRecord, att: Attachment): string {
  const dot = att.name.lastIndexOf('.');
  const extension = dot > 0 ? slugOf(att.name.slice(dot + 1)).slice(0, 10) : 'bin';
  return `${compactTime(record.time)}-${slugOf(dot > 0 ? att.name.slice(0, dot) : att.name)}.${extension}`;
}

/** The records of one release: its stream, what names it, and what those records caused directly. */
export function isAbout(record: LedgerRecord, release: string, selectedIds: ReadonlySet<string>): boolean {
  return releaseOf(record) === release || (record.cause !== undefined && selectedIds.has(record.cause));
}

export function unknownRelease(release: string, known: readonly string[]): DavyError {
  return new DavyError(ledgerErrors['no-evidence'], noSuch('release', release, known, 'in the ledger'));
}
