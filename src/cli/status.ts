import type { Command } from 'commander';
import { sleep } from '../lib/clock.ts';
import {
  columns,
  joined,
  jsonText,
  linesOf,
  type Shown,
  type TerminalText,
  term,
} from '../lib/outside-text/terminal.ts';
import { formatBytes, formatDurationMs, formatShare, formatWeightBp } from '../lib/units.ts';
import type { AnchorDoc, FleetDoc, HoldDoc, ReleaseDoc } from '../server/schemas.ts';
import { connect, connectionOptions } from './api-client.ts';
import { bar } from './bars.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { createScreen } from './screen.ts';
import { type Style, styleFor } from './style.ts';

const REFRESH_MS = 500;
const RECENT_RELEASES = 8;

/** `status`: what runs and what is being released; `-w` keeps looking. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('status')
    .description('services, instances and releases')
    .option('-w, --watch', 'keep watching until Ctrl-C');
  outputOption(connectionOptions(command)).action(
    async (options: { port: number; url?: string; watch?: boolean; output: string }) => {
      const api = connect(options, io);
      const read = (): Promise<FleetDoc> => api.get<FleetDoc>('/api/v1/fleet');
      if (options.watch) return watch(read, options.output, io);
      const fleet = await read();
      if (options.output === 'json') io.out(term`${jsonText(fleet)}\n`);
      else io.out(term`${renderFleet(fleet, styleFor(io.color))}\n`);
    },
  );
}

async function watch(read: () => Promise<FleetDoc>, output: string, io: CliIo): Promise<void> {
  const screen = createScreen(io);
  let seen = '';
  while (!io.signal.aborted) {
    const fleet = await read();
    if (output === 'json') printJson(io, { fleet });
    else if (io.interactive) screen.draw(linesOf(renderFleet(fleet, styleFor(io.color))));
    else {
      const text = renderFleet({ ...fleet, nowMs: 0 }, styleFor(false));
      if (String(text) !== seen) io.out(term`${text}\n\n`);
      seen = String(text);
    }
    await sleep(io.clock, REFRESH_MS, io.signal).catch(() => {});
  }
  screen.end();
}

function renderFleet(fleet: FleetDoc, style: Style): TerminalText {
  const lines: Shown[] = [
    term`${style.bold(fleet.system)}   ${ledgerWords(fleet.ledger)}   routing ${fleet.traffic.generation}`,
  ];
  if (fleet.traffic.problem) lines.push(style.warn(`traffic is not in step: ${fleet.traffic.problem}`));
  for (const warning of fleet.traffic.warnings) lines.push(style.warn(warning));
  if (fleet.traffic.hold) lines.push(...holdLines(fleet.traffic.hold, style));
  for (const { run, fault, why } of fleet.dirty) {
    lines.push(style.bad(`DIRTY ${run}: ${fault} may still be in force: ${why}`));
    lines.push(term`  next: look, then davy chaos clear ${run} --reason "…"; until then nothing is raised`);
  }
  if (fleet.ledger.late > 0) lines.push(style.warn(`${fleet.ledger.late} records wait for the ledger`));
  lines.push(...fleet.ledger.anchors.flatMap((anchor) => anchorLine(anchor, fleet, style)));
  lines.push('', columns(fleet.services.map((service) => serviceRow(service, style))));
  const problems = fleet.services.flatMap((service) =>
    service.instances.filter((instance) => instance.problem !== null),
  );
  for (const { id, problem } of problems) lines.push(term`  ${style.warn(id)}: ${problem ?? ''}`);
  const releases = fleet.releases.slice(0, RECENT_RELEASES);
  if (releases.length === 0) lines.push('', 'No release yet: `davy release SERVICE VERSION --reason …` starts one.');
  else lines.push('', columns(releases.map((release) => releaseRow(release, style))));
  return joined(lines);
}

function ledgerWords({ size, bytes, growth }: FleetDoc['ledger']): string {
  const rate = growth === null ? '' : `, ${formatBytes(growth.bytesPerDay)} a day`;
  return `ledger ${size} records, ${formatBytes(bytes)}${rate}`;
}

function holdLines({ signs, services }: HoldDoc, style: Style): Shown[] {
  const lower = services.filter(({ weightBp, decidedBp }) => weightBp < decidedBp);
  return [
    style.bad('HELD: records of the ledger are lost. Nothing is raised until a person decides.'),
    ...signs.map(({ by, says }) => term`  ${by}: ${says}`),
    ...lower.map(
      (line) => term`  ${line.service} stays at ${heldAt(line)}, the ledger says ${formatWeightBp(line.decidedBp)}`,
    ),
    term`  next: davy continue --accept-loss --reason "…" goes on from what is in force`,
  ];
}

function heldAt({ canary, weightBp, stable }: HoldDoc['services'][number]): string {
  return canary === null ? `${stable} alone` : `${formatWeightBp(weightBp)} to ${canary}`;
}

/** Nothing while it works: who keeps the checkpoints only matters to the reader when nobody does. */
function anchorLine({ name, problem, sinceMs, size }: AnchorDoc, { nowMs, ledger }: FleetDoc, style: Style): Shown[] {
  if (problem === null) return [];
  const since = sinceMs === null || nowMs === 0 ? '' : ` for ${formatDurationMs(roundedS(nowMs - sinceMs))}`;
  const open = ledger.size - (size ?? 0);
  return [style.warn(`${name} fails${since}, ${open} records are not covered: ${problem}`)];
}

function roundedS(ms: number): number {
  return Math.max(0, Math.round(ms / 1_000)) * 1_000;
}

function serviceRow(service: FleetDoc['services'][number], style: Style): Shown[] {
  const ready = new Map<string, [number, number]>();
  for (const { version, phase } of service.instances) {
    const [up, all] = ready.get(version) ?? [0, 0];
    ready.set(version, [up + (phase === 'ready' ? 1 : 0), all + 1]);
  }
  const versions = joined(
    [...ready].map(([version, [up, all]]) => `${version} ${up}/${all}`),
    '  ',
  );
  const weight = (service.effectiveWeightBp ?? 0) / 10_000;
  const canary = service.canary ? `${bar(weight, 20)} ${formatShare(weight)} to ${service.canary}` : '';
  return [style.bold(service.name), `:${service.listenPort}`, `stable ${service.stable}`, versions, canary];
}

/** What is open yet on the version that gets no more traffic. */
function drainWords({ drain }: ReleaseDoc): string {
  if (drain === null || drain.open === 0) return '';
  return `${drain.open} open on ${drain.version}, cut in ${formatDurationMs(Math.round((drain.cutInMs ?? 0) / 1000) * 1000)}`;
}

function releaseRow(release: ReleaseDoc, style: Style): Shown[] {
  const step = release.steps[release.step];
  const left = step ? Math.max(0, step.holdMs - release.heldMs) : 0;
  const paint = release.verdict === 'FAIL' ? style.bad : release.verdict === 'PASS' ? style.good : style.warn;
  const active = release.endedAtMs === null;
  const where =
    active && step
      ? `${formatWeightBp(step.weightBp)}, ${formatDurationMs(Math.round(left / 1000) * 1000)} left`
      : drainWords(release);
  const why = release.paused?.reason ?? release.held?.reason ?? release.endReason ?? release.judgement?.reason ?? '';
  return [release.id, release.version, release.phase, paint(release.verdict), where, why];
}
