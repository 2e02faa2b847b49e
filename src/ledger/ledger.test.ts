import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ledgerContract } from '../../test/contract/ledger.ts';
import { openFileLedger } from './file-ledger.ts';
import type { Ledger } from './ledger.ts';
import { createMemoryStore, openMemoryLedger } from './memory-ledger.ts';

ledgerContract('memory', async (clock) => {
  const store = createMemoryStore();
  return { open: () => openMemoryLedger({ clock, store }), dispose: async () => undefined };
});

ledgerContract('file', async (clock) => {
  const home = await mkdtemp(join(tmpdir(), 'davy-ledger-'));
  const opened: Ledger[] = [];
  return {
    async open() {
      const ledger = await openFileLedger({
        dir: join(home, 'ledger'),
        system: 'shop',
        writerId: 'ctl-1',
        clock,
        reserveBytes: 4_096,
        segmentRecords: 256,
      });
      opened.push(ledger);
      return ledger;
    },
    async dispose() {
      for (const ledger of opened) await ledger.close();
      await rm(home, { recursive: true, force: true });
    },
  };
});
