import { randomUUID } from 'node:crypto';
import { delimiter, dirname, join } from 'node:path';
import { sleep } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { HostAddress } from '../lib/host-address.ts';
import { rotateLog } from '../lib/log-file.ts';
import {
  findByEnvironment,
  isSame,
  killLeftovers,
  type ProcessExit,
  type ProcessIdentity,
  startProcess,
  terminate,
} from '../lib/process.ts';
import { ask } from '../probe/probe.ts';
import { recoveredAfterMs, startAgainMs } from './back-off.ts';
import { workloadsErrors } from './errors.ts';
import {
  afterProbe,
  freshHealth,
  type HealthState,
  hangProblem,
  isHung,
  isLate,
  nextProbeMs,
  shownProblem,
} from './health.ts';
import { configHash, type InstanceRecord } from './instance-records.ts';
import { type InstanceDeclaration, jittered, type ManagedInstance, type Supervision } from './managed-instance.ts';
import { tellingLine } from './telling-line.ts';
import type { InstanceStatus } from './workloads.ts';

const host = '127.0.0.1';
const thisMachine = new HostAddress(host);
/** How often an adopted process, which is not a child of this one, is looked for. */
const adoptedCheckMs = 250;

/** A process that runs now, started by this controller or adopted from the one before. */
interface Running {
  identity: ProcessIdentity;
  /** How it ended; null when only its absence was noticed. */
  gone: (signal: AbortSignal) => Promise<ProcessExit | null>;
}

/** Why the watch over a process ended. */
type End = { why: 'gone'; exit: ProcessExit | null } | { why: 'hung' } | { why: 'replace' } | { why: 'stop' };

/** One process that Davy starts, watches, and starts again when it dies. */
export class ProcessInstance implements ManagedInstance {
  readonly id: string;
  readonly #declared: InstanceDeclaration;
  readonly #argv: readonly string[];
  readonly #env: Record<string, string>;
  readonly #shared: Supervision;
  readonly #hash: string;
  readonly #logFile: string;
  #record: InstanceRecord | null;
  #phase: InstanceStatus['phase'] = 'starting';
  #problem: string | null = null;
  #failuresInARow = 0;
  #readySinceMs: number | null = null;
  #stopping = new AbortController();
  #started = false;
  #leaveRunning = false;
  #replacing = Promise.withResolvers<void>();
  #tried = Promise.withResolvers<void>();
  #loop: Promise<void> = Promise.resolve();

  constructor(
    declared: InstanceDeclaration,
    command: { argv: readonly string[]; env: Record<string, string> },
    shared: Supervision,
  ) {
    this.id = declared.id;
    this.#declared = declared;
    this.#argv = command.argv;
    this.#env = command.env;
    this.#shared = shared;
    this.#hash = configHash(command.argv, command.env, shared.baseDir);
    this.#logFile = join(shared.logDir, `${declared.id.replaceAll('/', '.')}.log`);
    this.#record = shared.records.read(declared.id);
  }

  /** True when a process from an earlier controller runs another command than the one declared now. */
  get outdated(): boolean {
    return this.#record !== null && this.#record.configHash !== this.#hash;
  }

  status(): InstanceStatus {
    const { id, service, version, zone } = this.#declared;
    const running = this.#phase === 'starting' || this.#phase === 'ready' || this.#phase === 'unhealthy';
    return {
      ...{ id, service, version, zone, host },
      port: this.#record?.port ?? 0,
      phase: this.#phase,
      pid: running ? (this.#record?.identity?.pid ?? null) : null,
      restarts: this.#record?.restarts ?? 0,
      startedAtMs: this.#record?.startedAtMs ?? null,
      problem: this.#problem,
    };
  }

  start(): Promise<void> {
    this.#started = true;
    this.#loop = this.#keepRunning();
    return this.#tried.promise;
  }

  async replace(): Promise<void> {
    if (this.#stopping.signal.aborted) {
      throw new DavyError(workloadsErrors.stopped, `${this.id} is being stopped and cannot be replaced.`);
    }
    this.#tried = Promise.withResolvers();
    const tried = this.#tried.promise;
    this.#replacing.resolve();
    await tried;
  }

  async stop(leaveRunning: boolean): Promise<void> {
    this.#leaveRunning = leaveRunning;
    this.#stopping.abort();
    await this.#loop;
    // What an earlier controller left and this one never took over is not this one's to forget.
    if (!leaveRunning && this.#started) this.#shared.records.remove(this.id);
    this.#show('stopped', this.#problem);
    this.#tried.resolve();
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping;
    let running = await this.#adopt();
    while (running !== null || !signal.aborted) {
      running ??= await this.#launch();
      const end: End = running === null ? { why: 'gone', exit: null } : await this.#watch(running);
      await this.#takeDown(running, end);
      running = null;
      if (end.why === 'stop') return;
      if (end.why !== 'replace') await this.#backOff();
    }
  }

  /** Takes over what an earlier controller left running if it is what the spec declares; ends it otherwise. */
  async #adopt(): Promise<Running | null> {
    const record = this.#record;
    if (record === null) return null;
    const identity = record.identity ?? findByEnvironment('DAVY_INSTANCE_TOKEN', record.token)[0] ?? null;
    if (identity === null || !isSame(identity)) {
      if (identity !== null) killLeftovers(identity);
      return null;
    }
    if (this.outdated) {
      this.#shared.log(`${this.id} runs an older declaration (pid ${identity.pid}) and is started anew`);
      await terminate(identity, this.#shared);
      this.#record = null;
      return null;
    }
    this.#save({ ...record, identity });
    this.#shared.log(`${this.id} adopted (pid ${identity.pid}, port ${record.port})`);
    return { identity, gone: (signal) => this.#untilAbsent(identity, signal) };
  }

  async #untilAbsent(identity: ProcessIdentity, signal: AbortSignal): Promise<null> {
    while (isSame(identity)) await sleep(this.#shared.clock, adoptedCheckMs, signal);
    return null;
  }

  /** Null when the program could not be started; `problem` says why. */
  async #launch(): Promise<Running | null> {
    const { clock, freshPort, baseDir } = this.#shared;
    try {
      rotateLog(this.#logFile);
      const token = randomUUID();
      const port = await freshPort();
      const restarts = this.#record === null ? 0 : this.#record.restarts + 1;
      const record = { id: this.id, token, port, configHash: this.#hash, startedAtMs: clock.nowMs(), restarts };
      // Written before the start: a crash in between leaves a process that the token finds.
      this.#save({ ...record, identity: null });
      this.#show('starting', this.#problem);
      const env = this.#environment(port, token);
      const started = await startProcess({ argv: this.#argv, cwd: baseDir, env, logFile: this.#logFile });
      this.#save({ ...record, identity: started.identity });
      return { identity: started.identity, gone: () => started.exited };
    } catch (error) {
      this.#problem = messageOf(error);
      return null;
    }
  }

  /** Davy's own settings and tokens stay out of the service's environment; the version's `env` has the last word. */
  #environment(port: number, token: string): NodeJS.ProcessEnv {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('DAVY_'));
    const { id, service, version } = this.#declared;
    return {
      ...Object.fromEntries(inherited),
      // Last in the path, so that `node` is found even where only Davy's own Node.js is installed.
      PATH: `${process.env.PATH ?? ''}${delimiter}${dirname(process.execPath)}`,
      HOST: host,
      ...this.#env,
      PORT: String(port),
      DAVY_SERVICE: service,
      DAVY_VERSION: version,
      DAVY_INSTANCE: id,
      DAVY_INSTANCE_TOKEN: token,
    };
  }

  async #watch(running: Running): Promise<End> {
    const ended = new AbortController();
    const stopped = Promise.withResolvers<void>();
    const onStop = (): void => stopped.resolve();
    this.#stopping.signal.addEventListener('abort', onStop);
    if (this.#stopping.signal.aborted) onStop();
    this.#replacing = Promise.withResolvers();
    try {
      return await Promise.race([
        running.gone(ended.signal).then((exit): End => ({ why: 'gone', exit })),
        this.#probeUntilHung(ended.signal).then((): End => ({ why: 'hung' })),
        this.#replacing.promise.then((): End => ({ why: 'replace' })),
        stopped.promise.then((): End => ({ why: 'stop' })),
      ]);
    } finally {
      ended.abort();
      this.#stopping.signal.removeEventListener('abort', onStop);
    }
  }

  async #probeUntilHung(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#shared;
    const { health } = this.#declared;
    const port = this.#record?.port ?? 0;
    let state = freshHealth(clock.monoMs());
    this.#readySinceMs = null;
    const lastFailure = this.#problem;
    while (!isHung(state, health, clock.monoMs())) {
      const result = await ask({ host: thisMachine, port, timeoutMs: health.timeoutMs }, health.probe, signal);
      if (signal.aborted) return;
      state = afterProbe(state, result, health, clock.monoMs());
      this.#noteHealth(state, lastFailure);
      await sleep(clock, jittered(nextProbeMs(state, health), random()), signal);
    }
    this.#problem = hangProblem(state, health);
  }

  /** `lastFailure`: how the process before this one ended. */
  #noteHealth(state: HealthState, lastFailure: string | null): void {
    const { health } = this.#declared;
    const nowMs = this.#shared.clock.monoMs();
    this.#show(state.phase, shownProblem(state, lastFailure, health, nowMs));
    if (state.phase === 'ready') this.#readySinceMs ??= nowMs;
    if (state.phase !== 'starting' || isLate(state, health, nowMs)) this.#tried.resolve();
  }

  async #takeDown(running: Running | null, end: End): Promise<void> {
    if (end.why === 'stop' && this.#leaveRunning) return;
    if (end.why === 'gone') {
      if (running !== null) {
        killLeftovers(running.identity);
        this.#problem = this.#wordsFor(end.exit);
      }
    } else if (running !== null) {
      this.#show(end.why === 'hung' ? 'unhealthy' : 'stopped', this.#problem);
      if (end.why === 'replace') await sleep(this.#shared.clock, this.#shared.drainMs);
      await terminate(running.identity, this.#shared);
    }
  }

  #wordsFor(exit: ProcessExit | null): string {
    const how =
      exit === null ? 'ended' : exit.signal === null ? `exited with code ${exit.code}` : `was killed by ${exit.signal}`;
    const line = exit?.signal ? null : tellingLine(this.#logFile);
    return line === null ? how : `${how}: ${line}`;
  }

  async #backOff(): Promise<void> {
    const { clock, random } = this.#shared;
    const recovered = this.#readySinceMs !== null && clock.monoMs() - this.#readySinceMs >= recoveredAfterMs;
    this.#failuresInARow = recovered ? 1 : this.#failuresInARow + 1;
    this.#show('backing-off', this.#problem);
    this.#tried.resolve();
    this.#replacing = Promise.withResolvers();
    const waited = sleep(clock, startAgainMs(this.#failuresInARow, random()), this.#stopping.signal).catch(() => {});
    await Promise.race([waited, this.#replacing.promise]);
  }

  #save(record: InstanceRecord): void {
    this.#record = record;
    this.#shared.records.write(record);
  }

  #show(phase: InstanceStatus['phase'], problem: string | null): void {
    if (this.#phase === phase && this.#problem === problem) return;
    this.#phase = phase;
    this.#problem = problem;
    this.#shared.log(`${this.id} is ${phase}${problem === null ? '' : `: ${problem}`}`);
    this.#shared.changed();
  }
}
