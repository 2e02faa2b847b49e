import type { Clock } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import { ledgerErrors } from './errors.ts';
import { type FileLedger, openFileLedger } from './file-ledger.ts';
import { layout } from './layout.ts';
import { nodeDisk } from './node-disk.ts';

export interface WriterWork<T> {
  /** The ledger folder. */
  dir: string;
  clock: Clock;
  /** Done on the ledger itself when nobody else has it open. */
  direct: (ledger: FileLedger) => Promise<T>;
  /** Asks the controller that has the ledger open. */
  viaController: () => Promise<T>;
}

/** Rejects with `ledger/not-a-ledger` unless the folder holds a ledger: a command must not make one by a wrong path. */
export async function requireLedger(dir: string): Promise<void> {
  if (await nodeDisk.stat(layout.log(dir))) return;
  throw new DavyError(ledgerErrors['not-a-ledger'], `${dir} holds no ledger; start Davy once to make it.`);
}

/** A ledger has one writer: while a controller runs it is asked to do the work, else the ledger is opened for it. */
export async function asWriter<T>({ dir, clock, direct, viaController }: WriterWork<T>): Promise<T> {
  await requireLedger(dir);
  let ledger: FileLedger;
  try {
    ledger = await openFileLedger({ dir, system: 'cli', writerId: 'cli', clock });
  } catch (error) {
    if (!(error instanceof DavyError) || error.kind !== ledgerErrors.locked) throw error;
    return viaController();
  }
  return direct(ledger).finally(() => ledger.close());
}
