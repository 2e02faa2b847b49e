import type { Command } from 'commander';
import { asWriter } from '../ledger/as-writer.ts';
import { KEY_ROTATED, OPENED } from '../ledger/facts.ts';
import type { RotatedKey } from '../ledger/file-ledger.ts';
import { readFolder } from '../ledger/reader.ts';
import type { LedgerRecord } from '../ledger/record.ts';
import { columns, term } from '../lib/outside-text/terminal.ts';
import { actorName, connect } from './api-client.ts';
import { ledgerDir, type Printed, placeOptions } from './evidence-place.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { reasonOption } from './reason-option.ts';

/** `evidence keys|rotate-key`: the keys that sign the ledger. */
export function registerKeys(evidence: Command, io: CliIo): void {
  registerList(evidence, io);
  registerRotate(evidence, io);
}

interface KeyLine {
  /** Records from which on a checkpoint must be signed with it. */
  fromSize: number;
  vkey: string;
  time: string;
  by: string;
  reason: string;
}

function keyLine(record: LedgerRecord): KeyLine {
  const { vkey, reason } = record.data;
  return {
    fromSize: record.seq === 0 ? 0 : record.seq + 1,
    vkey: String(vkey),
    time: record.time,
    by: record.actor.id,
    reason: typeof reason === 'string' ? reason : '',
  };
}

function registerList(evidence: Command, io: CliIo): void {
  const command = evidence.command('keys').description('the keys of the ledger and from where on each of them signs');
  outputOption(placeOptions(command)).action(async (options: Printed) => {
    const keys: KeyLine[] = [];
    for await (const { record } of readFolder(ledgerDir(io, options))) {
      if (record.type === OPENED || record.type === KEY_ROTATED) keys.push(keyLine(record));
    }
    if (options.output === 'json') return printJson(io, { keys });
    const rows = keys.map((one) => [`from ${one.fromSize} records`, one.time, one.by, one.reason, one.vkey]);
    io.out(term`${columns(rows)}\n`);
  });
}

function registerRotate(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('rotate-key')
    .description('replace the signing key by a new one; the old key signs the hand-over')
    .addOption(reasonOption());
  outputOption(placeOptions(command).option('--url <url>', 'address of the running Davy')).action(
    async (options: Printed & { reason: string; url?: string }) => {
      const { reason } = options;
      const rotated = await asWriter<RotatedKey>({
        dir: ledgerDir(io, options),
        clock: io.clock,
        direct: (ledger) => ledger.rotateKey({ actor: { kind: 'person', id: actorName(io) }, reason }),
        viaController: () => connect(options, io).post('/api/v1/evidence/rotate-key', { reason }),
      });
      if (options.output === 'json') return printJson(io, { ...rotated });
      io.out(term`${rotated.vkey}\n`);
      io.say(
        term`record ${rotated.seq}: this key signs from ${rotated.seq + 1} records on, signed for by the one before\n`,
      );
      io.say(term`Give it to every witness as a further --log, and to those who keep the key to compare with.\n`);
    },
  );
}
