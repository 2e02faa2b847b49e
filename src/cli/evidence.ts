import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type Completeness, CompletenessCheck } from '../ledger/completeness.ts';
import { continueLedger } from '../ledger/continue.ts';
import { ledgerErrors } from '../ledger/errors.ts';
import { isAbout, releaseOf, unknownRelease } from '../ledger/evidence.ts';
import { readFolder } from '../ledger/reader.ts';
import type { LedgerRecord } from '../ledger/record.ts';
import { type VerifyResult, verifyLedger } from '../ledger/verify.ts';
import { verifyChain } from '../ledger/verify-chain.ts';
import { columns, joined, type Shown, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { formatCount } from '../lib/units.ts';
import { actorName } from './api-client.ts';
import { registerFiles } from './evidence-files.ts';
import { registerKeys } from './evidence-keys.ts';
import { registerPersonal } from './evidence-personal.ts';
import { ledgerDir, type Place, type Printed, placeOptions } from './evidence-place.ts';
import { readGivenFile } from './given-file.ts';
import { parseGivenKey } from './given-key.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { reasonOption } from './reason-option.ts';
import { styleFor } from './style.ts';

const PROGRESS_FROM_BYTES = 20_000_000;
const BAR_WIDTH = 30;

/** `evidence`: check, add, list, show, explain and export what the ledger proves. */
export function register(program: Command, io: CliIo): void {
  const evidence = program
    .command('evidence')
    .description('the ledger: check it, add files to it, hand it to an auditor');
  registerVerify(evidence, io);
  registerFiles(evidence, io);
  registerExplain(evidence, io);
  registerCompleteness(evidence, io);
  registerKeys(evidence, io);
  registerPersonal(evidence, io);
  registerContinue(evidence, io);
}

function registerVerify(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('verify')
    .description('check every record, the chain, the tree, the signatures and the attachments')
    .option('--offline <dir>', 'a copied ledger folder, instead of the one under --data')
    .option('--quick', 'the links between the records only: no tree, signatures or attachments')
    .option('--from <checkpoint>', 'a checkpoint file kept from earlier that the ledger must still contain')
    .option('--witness <vkey...>', 'verifier keys of witnesses, beside those that record 0 names')
    .option('--key <vkey>', 'the verifier key that the ledger must have');
  outputOption(placeOptions(command)).action(
    async (
      options: Printed & { offline?: string; from?: string; key?: string; quick?: boolean; witness?: string[] },
    ) => {
      for (const key of [options.key ?? [], options.witness ?? []].flat()) parseGivenKey(key);
      const dir = options.offline === undefined ? ledgerDir(io, options) : resolve(io.cwd, options.offline);
      if (options.quick && (await isChained(io, dir, options.output))) return;
      const result = await verifyLedger(dir, {
        useThisThread: true,
        ...(options.from !== undefined && { from: await readGivenFile(options.from, io) }),
        ...(options.key !== undefined && { vkey: options.key }),
        ...(options.witness !== undefined && { witnesses: options.witness }),
        onProgress: progressBar(io),
      });
      if (options.output === 'json') printJson(io, { ...result });
      else io.out(renderVerified(result, io.color));
      if (!result.ok) io.exitCode = ledgerErrors.tampered.exit;
    },
  );
}

/** False when a link is broken: the whole check then names the place. */
async function isChained(io: CliIo, dir: string, output: string): Promise<boolean> {
  const result = await verifyChain(dir, { useThisThread: true });
  if (!result.ok) return false;
  if (output === 'json') printJson(io, { ok: true, size: result.size, quick: true });
  else io.out(term`ok: the links of ${result.size} records hold; nothing else was checked\n`);
  return true;
}

function progressBar(io: CliIo): (progress: { bytes: number; totalBytes: number; records: number }) => void {
  return ({ bytes, totalBytes, records }) => {
    if (!io.interactive || totalBytes < PROGRESS_FROM_BYTES) return;
    const done = Math.round((bytes / totalBytes) * BAR_WIDTH);
    const bar = `${'#'.repeat(done)}${'.'.repeat(BAR_WIDTH - done)}`;
    const end = bytes >= totalBytes ? term`\n` : '';
    io.say(term`\r[${bar}] ${formatCount(records)} records${end}`);
  };
}

function renderVerified(result: VerifyResult, color: boolean): TerminalText {
  const style = styleFor(color);
  const lines: Shown[] = [];
  if (result.firstBad) {
    const { seq, file, why } = result.firstBad;
    lines.push(term`${style.bad('not ok')}: record ${seq} in ${file} ${why}`);
  } else {
    lines.push(term`${style.good('ok')}: ${result.size} records of ${result.origin} are what was written`);
  }
  if (result.ok) {
    lines.push(`root ${result.root}`);
    lines.push(
      result.checkpointSize === null
        ? 'no signed checkpoint covers it: only the chain was checked'
        : `signed up to ${result.checkpointSize} records`,
    );
    for (const { name, size, timeSec } of result.witnessed) {
      lines.push(`witnessed by ${name} up to ${size} records at ${new Date(timeSec * 1_000).toISOString()}`);
    }
  }
  if (result.unfinishedBytes > 0) lines.push(`${result.unfinishedBytes} bytes of an unfinished record at the end`);
  for (const warning of result.warnings) lines.push(term`${style.warn('note')}: ${warning.says}`);
  return term`${joined(lines)}\n`;
}

async function readAll(io: CliIo, options: Place): Promise<LedgerRecord[]> {
  const records: LedgerRecord[] = [];
  for await (const { record } of readFolder(ledgerDir(io, options))) records.push(record);
  return records;
}

function registerExplain(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('explain')
    .description('what the ledger says about a release, record by record')
    .argument('<release>');
  outputOption(placeOptions(command)).action(async (release: string, options: Printed) => {
    const ids = new Set<string>();
    const records: LedgerRecord[] = [];
    const known = new Set<string>();
    for (const record of await readAll(io, options)) {
      const name = releaseOf(record);
      if (name !== null) known.add(name);
      if (!isAbout(record, release, ids)) continue;
      ids.add(record.id);
      records.push(record);
    }
    if (records.length === 0) throw unknownRelease(release, [...known]);
    if (options.output === 'json') return printJson(io, { release, records });
    io.out(term`${columns(records.map(explainRow))}\n`);
  });
}

function explainRow(record: LedgerRecord): string[] {
  const who = record.actor.kind === 'controller' ? '' : `${record.actor.kind} ${record.actor.id}`;
  const files = (record.att ?? []).map((att) => `${att.name}: ${att.desc}`).join(', ');
  return [String(record.seq), record.time, record.type, who, files === '' ? saysOf(record) : files];
}

/** What a record says of itself; of the many looks, how many they are. */
function saysOf({ data }: LedgerRecord): string {
  const judgement = data.judgement as { reason?: unknown } | null | undefined;
  const said = [data.reason, judgement?.reason, data.why, data.cause, data.verdict, data.basis].find(
    (value) => typeof value === 'string' && value !== '',
  );
  if (typeof said === 'string') return said;
  if (Array.isArray(data.looks)) return data.looks.length === 1 ? '1 look' : `${data.looks.length} looks`;
  return typeof data.secondsToZero === 'number' ? `at zero ${data.secondsToZero.toFixed(1)} s after the decision` : '';
}

function registerCompleteness(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('completeness')
    .description('which releases, traffic shifts and faults have no gap in their records');
  outputOption(placeOptions(command)).action(async (options: Printed) => {
    const check = new CompletenessCheck();
    for await (const { record } of readFolder(ledgerDir(io, options))) check.accept(record);
    const result = check.result();
    if (options.output === 'json') printJson(io, { ...result });
    else io.out(renderCompleteness(result, io.color));
    if (!result.ok) io.exitCode = ledgerErrors.incomplete.exit;
  });
}

function renderCompleteness(result: Completeness, color: boolean): TerminalText {
  const style = styleFor(color);
  const lines: Shown[] = [];
  for (const kind of ['release', 'shift', 'fault'] as const) {
    const all = result.subjects.filter((subject) => subject.kind === kind);
    const whole = all.filter((subject) => subject.gaps.length === 0);
    lines.push(`${kind}s: ${whole.length} of ${all.length} without a gap`);
    for (const { name, gaps } of all) for (const gap of gaps) lines.push(term`  ${style.bad('gap')} ${name}: ${gap}`);
  }
  for (const silence of result.silences) {
    const what = silence.kind === 'silent' ? style.bad('silence') : 'stopped';
    lines.push(term`${what} after record ${silence.afterSeq}: ${silence.from} to ${silence.to}`);
  }
  for (const { seq, says } of result.drifts) lines.push(term`${style.bad('drift')} at record ${seq}: ${says}`);
  for (const { seq, says } of result.losses)
    lines.push(term`${style.bad('lost')} records before record ${seq}: ${says}`);
  if (result.late.length > 0) lines.push(`written late, after the act: records ${result.late.join(', ')}`);
  lines.push(result.ok ? style.good('complete') : style.bad('not complete'));
  return term`${joined(lines)}\n`;
}

function registerContinue(evidence: Command, io: CliIo): void {
  const command = evidence
    .command('continue')
    .description('start a new ledger where records were lost; the old one is kept beside it')
    .requiredOption('--system <name>', 'name of the system, as in its spec')
    .option('--accept-loss', 'accept that records are lost; it is recorded')
    .addOption(reasonOption());
  outputOption(placeOptions(command)).action(
    async (options: Printed & { system: string; acceptLoss?: boolean; reason: string }) => {
      const continued = await continueLedger({
        dir: ledgerDir(io, options),
        system: options.system,
        writerId: 'cli',
        clock: io.clock,
        acceptLoss: options.acceptLoss === true,
        reason: options.reason,
        actor: { kind: 'person', id: actorName(io) },
      });
      if (options.output === 'json') return printJson(io, { ...continued });
      io.out(term`${continued.origin} continues ${continued.parentOrigin}\n`);
      io.out(term`${continued.keptRecords} records kept in ${continued.oldDir}, ${continued.lostRecords} lost\n`);
    },
  );
}
