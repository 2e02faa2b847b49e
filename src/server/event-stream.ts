import type { ServerResponse } from 'node:http';
import type { Ledger } from '../ledger/ledger.ts';
import type { LedgerRecord } from '../ledger/record.ts';
import type { Cancel, Clock } from '../lib/clock.ts';
import { apiErrors } from './errors.ts';

/** How often a quiet stream asks whether its reader may still read; a sign of life goes out at the same time. */
const ASK_EVERY_MS = 5_000;
/** A reader that lets this much pile up is cut off; it comes back with Last-Event-ID. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;
/** How long a reader may take over the last event after its right has ended. */
const LEAVE_WITHIN_MS = 2_000;

/** The last event of a stream whose reader may not read any more; its data is the error as a call would answer it. */
const ENDED_EVENT = 'stream.ended';

export interface StreamOptions {
  /** The first record is the one after it. */
  afterSeq: number;
  clock: Clock;
  /** Asked before every record and every five seconds: sessions end while streams are open. */
  mayGoOn: () => boolean;
}

/**
 * Sends ledger records as server-sent events (WHATWG HTML, section 9.2): those that are there, then live. `id` is the
 * record's seq, so a reader resumes with Last-Event-ID and misses nothing. When the reader may not read any more, the
 * stream ends with the event `stream.ended`.
 */
export function streamRecords(ledger: Ledger, response: ServerResponse, options: StreamOptions): void {
  const { clock, mayGoOn } = options;
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'keep-alive',
    'x-accel-buffering': 'no',
  });
  let next = options.afterSeq + 1;
  let replaying = true;
  let open = true;
  let cancel: Cancel = () => {};
  const waiting: LedgerRecord[] = [];

  const unsubscribe = ledger.subscribe((records) => {
    if (replaying) waiting.push(...records);
    else for (const record of records) send(record);
  });

  /** Whether the reader may still read; otherwise the stream is over. */
  function entitled(): boolean {
    if (!open) return false;
    if (mayGoOn()) return true;
    leave();
    const { code, next: todo } = apiErrors.unauthorised;
    const error = { code, sentence: 'The session or the token has ended.', next: todo };
    response.end(`event: ${ENDED_EVENT}\ndata: ${JSON.stringify({ error })}\n\n`);
    clock.after(LEAVE_WITHIN_MS, () => response.destroy(), true);
    return false;
  }

  function send(record: LedgerRecord): void {
    if (record.seq < next || !entitled()) return;
    next = record.seq + 1;
    response.write(`id: ${record.seq}\nevent: ${record.type}\ndata: ${JSON.stringify(record)}\n\n`);
    if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy();
  }

  function askLater(): void {
    cancel = clock.after(
      ASK_EVERY_MS,
      () => {
        if (!entitled()) return;
        response.write(': still here\n\n');
        askLater();
      },
      true,
    );
  }

  async function drained(): Promise<void> {
    if (!response.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      response.once('drain', resolve);
      response.once('close', resolve);
    });
  }

  async function replay(): Promise<void> {
    for await (const record of ledger.read(next)) {
      if (!open) return;
      send(record);
      await drained();
    }
    replaying = false;
    for (const record of waiting.splice(0)) send(record);
  }

  function leave(): void {
    open = false;
    unsubscribe();
    cancel();
    waiting.length = 0;
  }

  response.on('close', leave);
  response.write('retry: 1000\n\n');
  askLater();
  replay().catch(() => response.destroy());
}
