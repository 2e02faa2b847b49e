import type { Command } from 'commander';
import { asWriter, requireLedger } from '../ledger/as-writer.ts';
import { ledgerErrors } from '../ledger/errors.ts';
import { readFolder } from '../ledger/reader.ts';
import { concealedEvent, type Disclosure, type Erased, Vault } from '../ledger/vault.ts';
import { DavyError } from '../lib/error.ts';
import { columns, term } from '../lib/outside-text/terminal.ts';
import { actorName, connect } from './api-client.ts';
import { cliErrors } from './errors.ts';
import { ledgerDir, type Printed, placeOptions } from './evidence-place.ts';
import { readGivenFile } from './given-file.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { optionalReason, reasonOption } from './reason-option.ts';

/** `evidence conceal|disclose|erase`: personal values that the ledger can prove and forget. */
export function registerPersonal(evidence: Command, io: CliIo): void {
  registerConceal(evidence, io);
  registerDisclose(evidence, io);
  registerErase(evidence, io);
}

interface Acting extends Printed {
  url?: string;
}

function registerConceal(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('conceal')
    .description('keep personal values in the vault and commit to them in the ledger')
    .argument('<subject>', 'who the values are about; kept as a hash only')
    .argument(
      '<file>',
      'a JSON object of texts, as in {"name": "…"}; never given on the command line, where others see it',
    )
    .addOption(reasonOption())
    .option('--release <release>', 'the release that they belong to');
  outputOption(placeOptions(command).option('--url <url>', 'address of the running Davy')).action(
    async (subject: string, file: string, options: Acting & { reason: string; release?: string }) => {
      const fields = readFields(await readGivenFile(file, io), file);
      const { reason } = options;
      const release = options.release ?? null;
      const dir = ledgerDir(io, options);
      const kept = await asWriter<Erased>({
        ...{ dir, clock: io.clock },
        direct: async (ledger) => {
          const commitments = await new Vault({ dir }).conceal(subject, fields);
          const actor = { kind: 'person' as const, id: actorName(io) };
          const about = { actor, release, reason, fields: Object.keys(fields) };
          const [record] = await ledger.append([concealedEvent(commitments, about)]);
          return { seq: record!.seq, commitments };
        },
        viaController: () =>
          connect(options, io).post('/api/v1/evidence/personal', { subject, fields, release, reason }),
      });
      if (options.output === 'json') return printJson(io, { ...kept });
      const rows = Object.keys(fields).map((name, i) => [name, kept.commitments[i] ?? '']);
      io.out(term`${columns(rows)}\n`);
      io.say(term`record ${kept.seq} commits to them; the values lie encrypted in the vault\n`);
    },
  );
}

function readFields(text: string, shown: string): Record<string, string> {
  const fields = parsed(text);
  if (fields !== null && Object.values(fields).every((value) => typeof value === 'string'))
    return fields as Record<string, string>;
  // The content itself is personal: it must not stand in an error.
  throw new DavyError(cliErrors.usage, `${shown} is not a JSON object of texts.`);
}

function parsed(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function registerDisclose(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('disclose')
    .description('the personal values behind commitments, for an auditor to hold against the ledger')
    .argument('<subject-or-commitment>');
  outputOption(placeOptions(command)).action(async (what: string, options: Printed) => {
    const dir = ledgerDir(io, options);
    await requireLedger(dir);
    const vault = new Vault({ dir });
    const wanted = new Map<string, Disclosure>();
    for (const commitment of await commitmentsFor(vault, what)) wanted.set(commitment, await vault.reveal(commitment));
    const seqs = new Map<string, number>();
    for await (const { record } of readFolder(dir)) {
      for (const sd of record.sd ?? []) if (wanted.has(sd)) seqs.set(sd, record.seq);
    }
    const found = [...wanted].map(([commitment, one]) => ({ commitment, seq: seqs.get(commitment) ?? null, ...one }));
    if (options.output === 'json') return printJson(io, { disclosures: found });
    const rows = found.map((one) => [one.seq === null ? 'in no record' : `record ${one.seq}`, one.name, one.value]);
    io.out(term`${columns(rows)}\n`);
    for (const { disclosure, commitment } of found) io.out(term`${disclosure}\n  ${commitment}\n`);
    io.say(term`Each commitment stands in "sd" of its record and is the hash of the disclosure above it:\n`);
    io.say(term`  printf %s DISCLOSURE | openssl dgst -sha256 -binary | base64 | tr '+/' '-_' | tr -d =\n`);
  });
}

/** A commitment is taken as one when the vault has it; everything else names a person. */
async function commitmentsFor(vault: Vault, what: string): Promise<string[]> {
  if (await vault.has(what)) return [what];
  const all = await vault.commitmentsOf(what);
  if (all.length > 0) return all;
  throw new DavyError(ledgerErrors.erased, 'Nothing is kept under this commitment or of this person.');
}

function registerErase(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('erase')
    .description('forget the personal values of somebody for good; the ledger still verifies')
    .argument('<subject>', 'who asked to be forgotten')
    .addOption(
      optionalReason(
        '--basis <text>',
        'the legal ground, for example "GDPR Art. 17(1)(b)"; written to the ledger',
      ).makeOptionMandatory(),
    )
    .addOption(optionalReason('--reason <text>', 'more about why; written to the ledger'));
  outputOption(placeOptions(command).option('--url <url>', 'address of the running Davy')).action(
    async (subject: string, options: Acting & { basis: string; reason?: string }) => {
      const dir = ledgerDir(io, options);
      const { basis, reason } = options;
      const why = { basis, ...(reason !== undefined && { reason }) };
      const erased = await asWriter<Erased>({
        ...{ dir, clock: io.clock },
        direct: (ledger) =>
          new Vault({ dir }).erase(subject, ledger, { actor: { kind: 'person', id: actorName(io) }, ...why }),
        viaController: () => connect(options, io).post('/api/v1/evidence/erase', { subject, ...why }),
      });
      if (options.output === 'json') return printJson(io, { ...erased });
      const count = erased.commitments.length;
      io.out(term`${count} ${count === 1 ? 'value' : 'values'} erased, record ${erased.seq}\n`);
      io.say(term`Copies of the vault and its keys elsewhere, such as backups, must be erased there.\n`);
    },
  );
}
