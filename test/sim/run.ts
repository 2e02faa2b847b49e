import { createChecker } from './check.ts';
import { drawPlan, type SimPlan } from './plan.ts';
import { createWorld } from './world.ts';

const SLICE_MS = 100;
/** After the last trouble everything must have settled in this time. */
const CALM_MS = 20_000;

export interface SimResult {
  seed: number;
  records: number;
  fatals: number;
  outcomes: string[];
}

/** One run from one seed. Throws a Violation that names the invariant, the seed and the time. */
export async function simulate(seed: number): Promise<SimResult> {
  const plan = drawPlan(seed);
  const world = createWorld(plan);
  const checker = createChecker(plan, world);
  const starting = world.start();
  await world.clock.advance(SLICE_MS);
  const agenda = agendaOf(plan, world);
  for (let atMs = SLICE_MS; atMs < plan.troubleEndsMs + CALM_MS; atMs += SLICE_MS) {
    while (agenda[0] && agenda[0].atMs <= atMs) agenda.shift()?.run();
    world.supervise();
    await world.clock.advance(SLICE_MS);
    world.gateway.flow();
    await checker.step();
  }
  await starting;
  checker.end();
  const fleet = world.controller()?.fleet();
  return {
    seed,
    records: world.store().lines.length,
    fatals: world.fatals(),
    outcomes: Object.values(fleet?.releases ?? {}).map((release) => `${release.version}:${release.phase}`),
  };
}

function agendaOf(plan: SimPlan, world: ReturnType<typeof createWorld>): { atMs: number; run: () => void }[] {
  return [
    ...plan.troubles.map((trouble) => ({ atMs: trouble.atMs, run: () => world.cause(trouble) })),
    { atMs: plan.troubleEndsMs, run: () => world.calm() },
    ...plan.commands.map((command) => ({ atMs: command.atMs, run: () => world.command(command) })),
  ].sort((a, b) => a.atMs - b.atMs);
}
