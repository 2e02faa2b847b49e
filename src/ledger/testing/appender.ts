import { systemClock } from '../../lib/clock.ts';
import { openFileLedger } from '../file-ledger.ts';

/** Appends to the ledger in argv[2] until it is killed; every acknowledged seq goes to standard output, a line each. */
const ledger = await openFileLedger({
  dir: process.argv[2]!,
  system: 'shop',
  writerId: `w-${process.pid}`,
  clock: systemClock,
  reserveBytes: 64,
  segmentRecords: 256,
});

async function caller(stream: string): Promise<never> {
  for (let n = 0; ; n++) {
    const [first, last] = await ledger.append([
      { type: 'test.happened', stream, data: { n } },
      { type: 'test.happened', stream, data: { n, again: true } },
    ]);
    process.stdout.write(`${first!.seq} ${first!.id}\n${last!.seq} ${last!.id}\n`);
  }
}

await Promise.all(['s/a', 's/b', 's/c', 's/d'].map(caller));
