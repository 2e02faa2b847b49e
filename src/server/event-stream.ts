import type { ServerResponse } from 'node:http';
import type { Ledger } from '../ledger/ledger.ts';
import type { LedgerRecord } from '../ledger/record.ts';

const KEEP_ALIVE_MS = 15_000;
/** A reader that lets this much pile up is cut off; it comes back with Last-Event-ID. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

/**
 * Sends ledger records as server-sent events (WHATWG HTML, section 9.2), from the record after `afterSeq` on and then live.
 * `id` is the record's seq, so a reader resumes with Last-Event-ID and misses nothing.
 */
export function streamRecords(ledger: Ledger, afterSeq: number, response: ServerResponse): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'keep-alive',
    'x-accel-buffering': 'no',
  });
  let next = afterSeq + 1;
  let replaying = true;
  let open = true;
  const waiting: LedgerRecord[] = [];

  const unsubscribe = ledger.subscribe((records) => {
    if (replaying) waiting.push(...records);
    else for (const record of records) send(record);
  });
  const keepAlive = setInterval(() => response.write(': still here\n\n'), KEEP_ALIVE_MS);
  keepAlive.unref();

  function send(record: LedgerRecord): void {
    if (!open || record.seq < next) return;
    next = record.seq + 1;
    response.write(`id: ${record.seq}\nevent: ${record.type}\ndata: ${JSON.stringify(record)}\n\n`);
    if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy();
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

  response.on('close', () => {
    open = false;
    unsubscribe();
    clearInterval(keepAlive);
  });
  response.write('retry: 1000\n\n');
  replay().catch(() => response.destroy());
}
