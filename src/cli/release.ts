import type { Command } from 'commander';
import { sleep } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import { term } from '../lib/outside-text/terminal.ts';
import { formatDurationMs, formatWeightBp } from '../lib/units.ts';
import type { ReleaseDoc } from '../server/schemas.ts';
import { type ApiClient, connect, connectionOptions } from './api-client.ts';
import { durationOption } from './duration-option.ts';
import { cliErrors } from './errors.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { reasonOption } from './reason-option.ts';

interface ReleaseOptions {
  port: number;
  url?: string;
  reason: string;
  wait?: boolean;
  timeout: number;
  supersede?: boolean;
  output: string;
}

const POLL_MS = 500;
/** Exit code for a release that did not complete. */
const EXIT_ROLLED_BACK = 3;

/** `release SERVICE VERSION`: ask for a version; with --wait, stay until it completed or was rolled back. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('release')
    .description('release a version step by step')
    .argument('<service>')
    .argument('<version>')
    .addOption(reasonOption())
    .option('--wait', 'wait for the end: exit 0 completed, 3 rolled back or cancelled, 4 timed out')
    .addOption(durationOption('--timeout <duration>', 'how long to wait', 10 * 60_000))
    .option('--supersede', "replace another operator's release in flight");
  outputOption(connectionOptions(command)).action(async (service: string, version: string, options: ReleaseOptions) => {
    const api = connect(options, io);
    const body = { service, version, reason: options.reason, supersede: options.supersede === true };
    const started = await api.post<ReleaseDoc>('/api/v1/releases', body);
    io.say(term`${started.id}: releasing ${service} ${version} (stable is ${started.from})\n`);
    const last = options.wait ? await waitForEnd(api, started, options.timeout, io) : started;
    if (options.output === 'json') printJson(io, { release: last });
    else io.out(term`${last.id}: ${endText(last)}\n`);
    if (options.wait && last.phase !== 'completed') io.exitCode = EXIT_ROLLED_BACK;
  });
}

async function waitForEnd(api: ApiClient, started: ReleaseDoc, timeoutMs: number, io: CliIo): Promise<ReleaseDoc> {
  const deadlineMs = io.clock.monoMs() + timeoutMs;
  let seen = '';
  for (;;) {
    const now = await api.get<ReleaseDoc>(`/api/v1/releases/${started.id}`);
    const line = progressText(now);
    if (line !== seen) io.say(term`${started.id}: ${line}\n`);
    seen = line;
    if (now.endedAtMs !== null) return now;
    if (io.clock.monoMs() >= deadlineMs) {
      throw new DavyError(
        cliErrors['wait-timeout'],
        `${started.id} is still ${now.phase} after ${formatDurationMs(timeoutMs)}.`,
      );
    }
    await sleep(io.clock, POLL_MS, io.signal).catch(() => {
      io.say(term`${started.id} goes on; nothing was changed by leaving.\n`);
      throw new Error('interrupted');
    });
  }
}

function progressText(release: ReleaseDoc): string {
  const flag = release.paused
    ? `, paused: ${release.paused.reason}`
    : release.held
      ? `, held: ${release.held.reason}`
      : '';
  return `${release.phase} at ${formatWeightBp(release.weightBp)}${flag}`;
}

function endText(release: ReleaseDoc): string {
  return release.endReason ? `${release.phase} – ${release.endReason}` : progressText(release);
}
