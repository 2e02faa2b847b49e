import { randomBytes, randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { judge } from './analysis/tep-judge.ts';
import { type Chaos, createChaos } from './chaos/chaos.ts';
import { describeExperiment } from './chaos/describe.ts';
import { askOnce } from './chaos/http-probe.ts';
import { frozenBy } from './chaos/schedule.ts';
import { type Condition, tellConditions } from './conditions.ts';
import { type FileLedger, openFileLedger } from './ledger/file-ledger.ts';
import { GrowthWatch } from './ledger/growth.ts';
import { keepLedger } from './ledger/keeping.ts';
import { policyText } from './ledger/policy.ts';
import type { Json } from './ledger/record.ts';
import { chaosSource, distributionSource, metricsSource } from './ledger/sources.ts';
import { openStoredProofs } from './ledger/stored-proof.ts';
import { Vault } from './ledger/vault.ts';
import { verifyLedger } from './ledger/verify.ts';
import { keepWatermark, readWatermark } from './ledger/watermark.ts';
import { anythingRuns } from './leftovers.ts';
import { sleep, systemClock } from './lib/clock.ts';
import { publishEndpoint, withdrawEndpoint } from './lib/endpoint.ts';
import { DavyError, messageOf } from './lib/error.ts';
import type { Log } from './lib/log.ts';
import { keepLogsBounded } from './lib/log-file.ts';
import { visibleJson } from './lib/outside-text/json.ts';
import { own } from './lib/own.ts';
import { seededRandom } from './lib/seeded-random.ts';
import { lossSigns } from './loss-signs.ts';
import { connectGatewayMetrics } from './metrics/gateway-source.ts';
import { silenceable } from './metrics/silence.ts';
import { type Controller, createController } from './release/controller.ts';
import { FoldCache } from './release/fold-cache.ts';
import { holdReason } from './release/hold-reason.ts';
import { activeRelease, isActive } from './release/state.ts';
import { dashboardSource } from './reports/dashboard-source.ts';
import { Scope } from './scope.ts';
import { startServer } from './server/server.ts';
import type { Spec } from './spec/model.ts';
import { placeInSpec } from './spec/place.ts';
import { connectGateway } from './traffic/gateway-driver.ts';
import { type GatewayProcess, superviseGateway } from './traffic/gateway-process.ts';
import { recordedRestart } from './traffic/gateway-restart.ts';
import { VERSION } from './version.ts';
import { openWorkloads } from './workloads/supervisor.ts';
import type { Workloads } from './workloads/workloads.ts';

/** Adopting takes milliseconds; a version that starts slowly does not hold up the decisions about the others. */
const ADOPT_WITHIN_MS = 2_000;
/** Lines that wait for the disk; later ones are dropped. */
const MAX_LOG_WAITING_BYTES = 1024 * 1024;
/** A gateway that is being started anew is no news. */
const TROUBLE_AFTER_MS = 5_000;
/** A start waits this long for what the witnesses have to say about the ledger. */
const WITNESS_WITHIN_MS = 5_000;
/** A gateway that does not take the first table in this time will not take it at all. */
const FIRST_TABLE_WITHIN_MS = 15_000;

export interface AppOptions {
  spec: Spec;
  dataDir: string;
  host: string;
  port: number;
  /** Gateway processes that share the ports; 1 if absent. */
  gateways?: number;
  env: Record<string, string | undefined>;
  /** Talk for people: what is being started, and what went wrong. */
  say: (line: string) => void;
  /** Called when the process must end and be started again (the ledger is lost to it). */
  onFatal: (error: unknown) => void;
}

/** A running Davy: the parts that its own commands (the demo) use directly. */
export interface App {
  url: string;
  token: string;
  dataDir: string;
  controller: Controller;
  chaos: Chaos;
  workloads: Workloads;
  gateway: GatewayProcess;
  ledger: FileLedger;
  /** Drains everything, or lets go of it so that the next controller adopts it. */
  stop(options?: { leaveRunning?: boolean }): Promise<void>;
}

/** The one place where rooms are wired together. Starting means: replay, compare with the world, converge. */
export async function openApp(options: AppOptions): Promise<App> {
  const { spec, dataDir, say, env, onFatal } = options;
  const runDir = join(dataDir, 'run');
  const logDir = join(dataDir, 'log');
  for (const folder of [runDir, logDir]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const log = fileLog(logDir);
  const clock = systemClock;
  const ledgerDir = join(dataDir, 'ledger');
  const ranBefore = anythingRuns(dataDir);
  const scope = new Scope(ranBefore);
  const checked = Promise.withResolvers<void>();

  try {
    const token = env.DAVY_TOKEN ?? randomBytes(24).toString('base64url');
    const onNotice = (message: string): void => log.warn({}, message);
    const traffic = connectGateway({ runDir });
    scope.add(() => traffic.close());
    const secrets = [token, ...secretsOf(spec)];
    const ledger = await openFileLedger({
      dir: ledgerDir,
      system: spec.system,
      writerId: `ctl-${process.pid}`,
      clock,
      secrets,
      witnessPolicy: policyText(spec.anchors?.witnesses ?? []),
      // The gateway takes nothing from a controller whose term is below one that it has seen.
      aboveTerm: (await traffic.dataPlane.observe().catch(() => null))?.term ?? 0,
      onNotice,
    });
    scope.add(() => ledger.close());
    if (ledger.recovery) say(`ledger: repaired after an unclean stop; ${ledger.head().size} records`);

    // Closed in reverse: the gateway finishes its requests before the instances that answer them go away.
    const workloads = openWorkloads({
      spec,
      runDir,
      logDir,
      baseDir: dirname(spec.source.file),
      clock,
      log: (sentence) => log.info({}, sentence),
      mayEnd: checked.promise,
    });
    scope.add((leaveRunning) => workloads.stop({ leaveRunning }));

    const gateway = await superviseGateway({ runDir, logDir, clock, log, gateways: options.gateways ?? 1 });
    scope.add((leaveRunning) => gateway.stop({ leaveRunning }));
    const metrics = connectGatewayMetrics({ runDir });
    scope.add(() => metrics.close());

    const { dataPlane } = traffic;
    const gates = { raise: () => chaos.raiseBlocked(), release: (service: string) => chaos.releaseBlocked(service) };
    // Only the releases can be blinded: rehearsals, the page and the scrape address go on seeing what is.
    const releaseMetrics = silenceable({
      ...{ source: metrics, ledger, clock, onNotice },
      refusal: () => chaos.raiseBlocked() ?? (spec.chaos ? frozenBy(spec.chaos, clock.nowMs()) : null),
    });
    const folds = new FoldCache({ ledger, judge, turn: () => setImmediate() });
    const watermarkFile = join(runDir, 'ledger-watermark.json');
    const watermark = readWatermark(watermarkFile);
    const controller = createController({
      ...{ spec, ledger, dataPlane, metrics: releaseMetrics, workloads, judge, clock, log, onFatal, gates },
      onReplayed: (past) => folds.offer(past),
      knownTerm: ledger.known.term,
      lossSigns: () => lossSigns(ledger.known.size, { watermark, anchors: keeping.anchors?.states() ?? [] }),
    });
    const chaos = createChaos({
      ...{ spec, ledger, metrics, workloads, clock, log },
      faultPlane: traffic.faults,
      instances: workloads.faults,
      ask: askOnce,
      releasesInFlight: () => releasesInFlight(controller),
      trafficShare: (service) => trafficShare(controller, spec, service),
      seeded: seededRandom,
      newSeed: () => randomInt(2 ** 32),
    });
    const observed = (): Json => JSON.parse(JSON.stringify(controller.observed()));
    const sources = [
      ...[metricsSource(() => metrics.text()), distributionSource(observed), chaosSource()],
      dashboardSource(ledger),
    ];
    const keeping = keepLedger({
      ...{ ledger, clock, witnesses: [], timestamps: null, ...spec.anchors, sources, secrets, onNotice },
      onAlarm: (anchor, problem) => {
        const says = problem === null ? `${anchor} works again` : `ALARM ${anchor} fails: ${problem}`;
        log.warn({}, says);
        say(`ledger: ${says}`);
      },
    });
    scope.add(() => keeping.stop());
    const unmark = keepWatermark(ledger, watermarkFile, {
      counts: ({ type }) => type.startsWith('traffic.'),
      onProblem: (error) => onNotice(`the ledger's size could not be noted: ${messageOf(error)}`),
    });
    scope.add(() => unmark());
    const growth = new GrowthWatch(clock, () => ledger.size());
    scope.add(() => growth.stop());
    let replayed = false;
    const server = await startServer(
      {
        replayed: () => replayed,
        spec,
        controller,
        chaos,
        workloads,
        judge,
        folds,
        ledger,
        clock,
        log,
        gatewayMetrics: () => metrics.text(),
        counters: () => metrics.read(),
        silenceMetrics: releaseMetrics.silence,
        restartGateway: recordedRestart({ ledger, clock, renew: () => gateway.renew(), onNotice }),
        proofs: openStoredProofs(ledger),
        anchors: () => keeping.anchors?.states() ?? [],
        rotateLedgerKey: (how) => ledger.rotateKey(how),
        vault: new Vault({ dir: ledgerDir }),
        growth,
        ledgerKey: () => ledger.vkey,
        verifyLedger: () => verifyLedger(ledgerDir),
      },
      {
        ...{ host: options.host, port: options.port, token, version: VERSION },
        ...{ tokenWasChosen: env.DAVY_TOKEN !== undefined, sessionFile: join(runDir, 'sessions.json') },
      },
    );
    scope.add(() => server.close());
    const port = Number(new URL(server.url).port);
    publishEndpoint(port, { url: server.url, token, dataDir, pid: process.pid }, env);
    scope.add(() => withdrawEndpoint(port, env));

    const hush = tellConditions({ clock, say, conditions: () => conditionsOf(controller, chaos) });
    scope.add(hush);
    const unbound = keepLogsBounded(logDir, clock);
    scope.add(() => unbound());
    const tellProblems = problemTeller(workloads, say);
    scope.add(() => tellProblems());
    // The first table must know what still runs from before: without it the gateway would be told that nothing does.
    const tried = workloads.start();
    tried.catch(() => {});
    // Before the first decision: what is DIRTY holds every promotion.
    await chaos.load();
    await controller.load();
    // From here on the spec is known to fit the ledger: what it no longer declares may end.
    checked.resolve();
    await Promise.race([tried, sleep(clock, ADOPT_WITHIN_MS)]);
    // A witness may know that records are lost; one that does not answer holds up nothing.
    if (keeping.anchors) await Promise.race([keeping.anchors.now().catch(() => null), sleep(clock, WITNESS_WITHIN_MS)]);
    controller.start();
    replayed = true;
    scope.add(() => controller.stop());
    const unfollow = folds.follow();
    scope.add(() => unfollow());
    await tried;
    await controller.settled(FIRST_TABLE_WITHIN_MS).catch(async (error: unknown) => {
      const told = await placed(error, spec);
      if (!ranBefore) throw told;
      // What ran goes on by the table that it has; this controller goes on trying.
      say(`the first routing table is not in force: ${describe(told)}`);
    });
    await chaos.start();
    scope.add(() => chaos.stop());

    return {
      url: server.url,
      token,
      dataDir,
      controller,
      chaos,
      workloads,
      gateway,
      ledger,
      stop: ({ leaveRunning = false } = {}) => scope.close(leaveRunning),
    };
  } catch (error) {
    for (const problem of await scope.fail()) log.warn({ error: messageOf(problem) }, 'a part could not be closed');
    throw error;
  }
}

/** Values in the spec that must never be recorded: what its environment variables call a secret. */
function secretsOf(spec: Spec): string[] {
  const versions = Object.values(spec.services).flatMap((service) => Object.values(service.versions));
  const variables = versions.flatMap(({ env }) => Object.entries(env));
  return variables.filter(([name]) => /SECRET|TOKEN|PASSW|CREDENTIAL|_KEY$/i.test(name)).map(([, value]) => value);
}

function releasesInFlight(controller: Controller): string[] {
  return Object.values(controller.fleet().releases)
    .filter(isActive)
    .map((release) => release.id);
}

/** What the split was last decided to be: share of a service's requests per version. */
function trafficShare(controller: Controller, spec: Spec, service: string): Record<string, number> {
  const fleet = controller.fleet();
  const stable = own(fleet.services, service)?.stable ?? own(spec.services, service)?.stable;
  const release = activeRelease(fleet, service);
  const canaryShare = release ? release.weightBp / 10_000 : 0;
  return {
    ...(stable === undefined ? {} : { [stable]: 1 - canaryShare }),
    ...(release ? { [release.version]: canaryShare } : {}),
  };
}

/** A port that the gateway could not open stands in the spec: the error should say where. */
async function placed(error: unknown, spec: Spec): Promise<unknown> {
  if (!(error instanceof DavyError) || error.code !== 'traffic/port-in-use') return error;
  const ports = error.message.match(/\d+/g)?.map(Number) ?? [];
  const service = Object.values(spec.services).find((one) => ports.includes(one.listenPort));
  const position = service && (await placeInSpec(spec.source.file, ['services', service.name, 'listen']));
  return position ? new DavyError(error.kind, error.message, { position, next: error.next, cause: error }) : error;
}

function describe(error: unknown): string {
  const { position } = error instanceof DavyError ? error : {};
  const place = position ? ` (${[position.file, position.line, position.column].filter(Boolean).join(':')})` : '';
  return messageOf(error) + place;
}

function conditionsOf(controller: Controller, chaos: Chaos): Condition[] {
  const problem = controller.trafficProblem();
  const held = holdReason(controller.fleet());
  return [
    ...(problem === null ? [] : [{ name: 'traffic is not in step', says: problem, afterMs: TROUBLE_AFTER_MS }]),
    ...chaos.dirty().map(({ id, plan, dirty }) => ({
      name: `DIRTY ${id}`,
      says: `${describeExperiment(plan.experiment)}: ${dirty}; look, then \`davy chaos clear ${id}\``,
      afterMs: 0,
    })),
    ...(held === null ? [] : [{ name: 'HELD', says: held, afterMs: 0 }]),
  ];
}

/** Says once what is wrong with an instance, and again only when that changes. */
function problemTeller(workloads: Workloads, say: (line: string) => void): () => void {
  const told = new Map<string, string>();
  return workloads.subscribe(() => {
    for (const { id, phase, problem } of workloads.list()) {
      const text = problem === null ? phase : `${phase}: ${problem}`;
      if (told.get(id) === text) continue;
      told.set(id, text);
      if (problem !== null || phase === 'ready') say(`${id}: ${text}`);
    }
  });
}

function fileLog(logDir: string): Log {
  // On a full disk lines are lost, neither the process nor its memory.
  const file = pino.destination({
    dest: join(logDir, 'controller.log'),
    ...{ sync: false, mkdir: true, maxLength: MAX_LOG_WAITING_BYTES },
  });
  file.on('error', () => {});
  return pino(
    {
      ...{ level: 'info', base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
      // A log is read on terminals too.
      hooks: { streamWrite: (line) => visibleJson(line) },
    },
    file,
  );
}
