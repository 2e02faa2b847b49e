import type net from 'node:net';
import { performance } from 'node:perf_hooks';
import { messageOf } from '../../lib/error.ts';
import { Engine } from '../engine.ts';
import { limits } from '../limits.ts';
import { TableRefused } from '../plane.ts';
import { LeasedQuotas } from '../quota/leased.ts';
import { watchProcess } from '../stats/process-stats.ts';
import type { SocketHandle, Sockets } from '../succession/estate.ts';
import type { AnswerMessage, FromWorker, ToWorker, WorkerCalls } from './protocol.ts';

/**
 * Runs one worker: an engine that obeys its parent. When the parent dies it answers what is in progress and ends.
 * `stickyKey`: base64, from the parent.
 */
export function runWorker(stickyKey: string): void {
  const quotas = leasedQuotas();
  const engine = new Engine({ sharedPorts: true, quotas, stickyKey: Buffer.from(stickyKey, 'base64') });
  const processReport = watchProcess();
  const inherited: Sockets = new Map();
  const deposit = depositor(engine);
  const calls: { [K in keyof WorkerCalls]: (argument: Parameters<WorkerCalls[K]>[0]) => Promise<unknown> } = {
    apply: async (table) => {
      await engine.apply(table as Parameters<WorkerCalls['apply']>[0]);
      deposit();
    },
    renew: async (ids) => engine.renew(ids as string[]),
    inject: async (rules) => engine.inject(rules as Parameters<WorkerCalls['inject']>[0]),
    clearFaults: async (ids) => engine.clearFaults(ids as string[] | 'all'),
    faultReports: async () => engine.faultReports(),
    state: async () => engine.state(),
    report: async () => ({ services: engine.reports(), process: processReport() }),
    estate: async () => engine.estate(),
    adopt: async (heritage) => {
      const { table, estate } = heritage as Parameters<WorkerCalls['adopt']>[0];
      await engine.adopt(table, inherited, estate);
      deposit();
    },
    follow: async (table) => engine.follow(table as Parameters<WorkerCalls['follow']>[0]),
    closePorts: () => engine.closePorts(),
    drain: (withinMs) => engine.drain(withinMs as number),
  };
  process.on('message', (message: ToWorker, handle: unknown) => {
    if ('socket' in message) {
      inherited.set(message.socket, handle as SocketHandle);
      return;
    }
    if ('grant' in message) {
      quotas.grant(message.grant, message.answer);
      return;
    }
    if ('recall' in message) {
      const { recall, number } = message;
      tell({ back: recall, number, units: quotas.recall(recall) });
      return;
    }
    const send = (answer: Omit<AnswerMessage, 'id'>) => process.send?.({ id: message.id, ...answer });
    const act = calls[message.call] as (argument: unknown) => Promise<unknown>;
    act(message.argument).then(
      (value) => send({ value }),
      (error: unknown) =>
        send({ error: { code: error instanceof TableRefused ? error.code : null, message: messageOf(error) } }),
    );
  });
  tell({ ready: true });
  process.on('disconnect', () => void engine.drain(limits.drainMs).then(() => process.exit(0)));
  // The terminal's signals are the parent's business: it drains its workers in order.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
}

function tell(message: FromWorker): void {
  process.send?.(message, undefined, undefined, () => {});
}

/** What this process has is used up when the parent is gone; then it is draining, and refuses. */
const ORPHANED_FOR_MS = 1_000;

function leasedQuotas(): LeasedQuotas {
  const quotas: LeasedQuotas = new LeasedQuotas({
    nowMs: () => performance.now(),
    ask: (key, need, left) => {
      if (process.connected) tell({ ask: key, need, left });
      else quotas.grant(key, { units: 0, refusedForMs: ORPHANED_FOR_MS, left: 0 });
    },
  });
  return quotas;
}

/** The parent keeps every listening socket too: connections that wait in it outlive the worker. */
function depositor(engine: Engine): () => void {
  let kept: Sockets = new Map();
  return () => {
    const present = engine.sockets();
    for (const [address, handle] of present) {
      if (kept.get(address) !== handle) process.send?.({ socket: address }, handle as unknown as net.Server);
    }
    kept = present;
  };
}
