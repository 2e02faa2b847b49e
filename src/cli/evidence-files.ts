import { isUtf8 } from 'node:buffer';
import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { addEvidence, type EvidenceFile } from '../ledger/add-evidence.ts';
import { casPath, readAttachment } from '../ledger/cas.ts';
import { ledgerErrors } from '../ledger/errors.ts';
import { releaseOf } from '../ledger/evidence.ts';
import { exportEvidence } from '../ledger/export.ts';
import { layout } from '../ledger/layout.ts';
import { nodeDisk } from '../ledger/node-disk.ts';
import { readFolder } from '../ledger/reader.ts';
import type { Attachment } from '../ledger/record.ts';
import { DavyError } from '../lib/error.ts';
import { columns, jsonText, paragraphs, term, unchanged } from '../lib/outside-text/terminal.ts';
import { actorName, connect } from './api-client.ts';
import { cliErrors } from './errors.ts';
import { ledgerDir, type Place, type Printed, placeOptions } from './evidence-place.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';

/** `evidence add|list|show|export`: the files. */
export function registerFiles(evidence: Command, io: CliIo): void {
  registerAdd(evidence, io);
  registerList(evidence, io);
  registerShow(evidence, io);
  registerExport(evidence, io);
}

interface AddOptions extends Printed {
  description: string;
  release?: string;
  type: string;
  url?: string;
}

function registerAdd(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('add')
    .description('store a file with a description; its SHA-256 goes into the ledger')
    .argument('<file>')
    .requiredOption('-d, --description <text>', 'what the file shows')
    .option('--release <release>', 'the release that it belongs to')
    .option('--type <mime>', 'its MIME type', 'application/octet-stream');
  outputOption(placeOptions(command).option('--url <url>', 'address of the running Davy')).action(
    async (file: string, options: AddOptions) => {
      const path = resolve(io.cwd, file);
      const info = await stat(path).catch(() => null);
      if (!info?.isFile()) throw new DavyError(cliErrors.usage, `${file} is not a file.`);
      const content: EvidenceFile = {
        bytes: await readFile(path),
        name: basename(path),
        type: options.type,
        desc: options.description,
        release: options.release ?? null,
      };
      const added = await addEvidence({
        dir: ledgerDir(io, options),
        file: content,
        actorId: actorName(io),
        clock: io.clock,
        // The ledger has one writer: while a controller runs, it is asked to write the record.
        viaController: (att, release) => connect(options, io).post('/api/v1/evidence', { att, release }),
      });
      if (options.output === 'json') printJson(io, { ...added });
      else io.out(term`${added.att.sha256}  ${added.att.name}\nrecord ${added.seq}\n`);
    },
  );
}

function registerList(evidence: Command, io: CliIo): void {
  const command = evidence.command('list').description('the files that the ledger holds').argument('[release]');
  outputOption(placeOptions(command)).action(async (release: string | undefined, options: Printed) => {
    const files: (Attachment & { seq: number; time: string; release: string | null })[] = [];
    for await (const { record } of readFolder(ledgerDir(io, options))) {
      if (release !== undefined && releaseOf(record) !== release) continue;
      for (const att of record.att ?? []) {
        files.push({ seq: record.seq, time: record.time, release: releaseOf(record), ...att });
      }
    }
    if (options.output === 'json') return printJson(io, { files });
    const rows = files.map((f) => [String(f.seq), f.time, f.release ?? '', f.name, f.sha256.slice(0, 16), f.desc]);
    io.out(rows.length === 0 ? term`no files\n` : term`${columns(rows)}\n`);
  });
}

function registerShow(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('show')
    .description('one record by its seq, or an attachment by its SHA-256')
    .argument('<seq-or-sha256>', 'the first 16 digits of a SHA-256 suffice');
  placeOptions(command).action(async (name: string, options: Place) => {
    const dir = ledgerDir(io, options);
    if (/^[0-9a-f]{16,64}$/.test(name)) return showFile(io, dir, await fullHash(dir, name));
    if (!/^\d{1,15}$/.test(name)) throw new DavyError(cliErrors.usage, `"${name}" is neither a seq nor a SHA-256.`);
    for await (const { record } of readFolder(dir)) {
      if (record.seq !== Number(name)) continue;
      io.out(term`${jsonText(record)}\n`);
      for (const { sha256 } of record.att ?? []) io.say(term`${casPath(dir, sha256)}\n`);
      return;
    }
    throw new DavyError(ledgerErrors['no-evidence'], `The ledger has no record ${name}.`);
  });
}

/** `list` shows 16 digits; more than one file with the same is no accident, and refused. */
async function fullHash(dir: string, prefix: string): Promise<string> {
  const found = (await nodeDisk.list(join(layout.cas(dir), prefix.slice(0, 2)))).filter((one) =>
    one.startsWith(prefix),
  );
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const many = found.length > 1 ? `${found.length} attachments begin` : 'No attachment begins';
  throw new DavyError(ledgerErrors['no-evidence'], `${many} with ${prefix}.`);
}

async function showFile(io: CliIo, dir: string, sha256: string): Promise<void> {
  const bytes = await readAttachment(nodeDisk, dir, sha256);
  const text = bytes.toString('utf8');
  // Another program gets the octets that were recorded; a terminal would act on some of them.
  if (isUtf8(bytes)) return io.out(io.interactive ? paragraphs(text) : unchanged(text));
  throw new DavyError(cliErrors.usage, `The file is not text; it lies unchanged at ${casPath(dir, sha256)}.`);
}

function registerExport(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('export')
    .description('a folder for an auditor: files, records, proofs, key and a verifier that needs none of Davy')
    .argument('[release]')
    .option('--all', 'the whole ledger')
    .requiredOption('-o, --out <dir>', 'a folder that does not exist yet');
  placeOptions(command).action(async (release: string | undefined, options: Place & { all?: boolean; out: string }) => {
    if ((release === undefined) === (options.all !== true)) {
      throw new DavyError(cliErrors.usage, 'Name a release, or say --all; one of the two.');
    }
    const result = await exportEvidence({
      dir: ledgerDir(io, options),
      release: release ?? null,
      outDir: resolve(io.cwd, options.out),
    });
    io.out(term`${result.outDir}: ${result.records} records, ${result.files} files, ${result.proofs} proofs\n`);
    io.say(
      term`under the checkpoint of ${result.head.size} records${result.anchored ? ', which somebody outside has cosigned or timestamped' : ''}\n`,
    );
    if (result.uncovered > 0) io.say(term`${result.uncovered} records are newer than it and were left out\n`);
    io.say(term`check it with ${options.out}/verify.sh\n`);
  });
}
