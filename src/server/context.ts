import type { Judge } from '../analysis/judge.ts';
import type { Chaos } from '../chaos/chaos.ts';
import type { AnchorState } from '../ledger/anchors.ts';
import type { FileLedger } from '../ledger/file-ledger.ts';
import type { GrowthWatch } from '../ledger/growth.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Actor } from '../ledger/record.ts';
import type { StoredProofs } from '../ledger/stored-proof.ts';
import type { Vault } from '../ledger/vault.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { SilenceableMetrics } from '../metrics/silence.ts';
import type { CounterSnapshot } from '../metrics/source.ts';
import type { Controller } from '../release/controller.ts';
import type { FoldCache } from '../release/fold-cache.ts';
import type { Spec } from '../spec/model.ts';
import type { GatewayRestart } from '../traffic/gateway-restart.ts';
import type { Workloads } from '../workloads/workloads.ts';

/** What the routes may use; handed in by the wiring. */
export interface ServerContext {
  spec: Spec;
  /** The ledger was read: before, the fleet looks as if nothing had ever been released. */
  replayed: () => boolean;
  controller: Controller;
  chaos: Chaos;
  workloads: Workloads;
  judge: Judge;
  /** The fleet as it was. */
  folds: FoldCache;
  ledger: Ledger;
  clock: Clock;
  log: Log;
  /** Prometheus text of the data plane, for the one scrape address. Rejects when it cannot be reached. */
  gatewayMetrics: () => Promise<string>;
  /** The data plane's counts. Rejects when it cannot be reached. */
  counters: () => Promise<CounterSnapshot>;
  /** Keeps the counts from the releases for a while. */
  silenceMetrics: SilenceableMetrics['silence'];
  /** Puts a new process in the gateway's place; rejects with an error of `traffic/` or of the ledger. */
  restartGateway: (reason: string, actor: Actor, key: string | undefined) => Promise<GatewayRestart>;
  proofs: StoredProofs;
  /** Changes the key that the ledger's checkpoints are signed with. */
  rotateLedgerKey: FileLedger['rotateKey'];
  /** How those outside stand who keep the ledger's checkpoints; empty when nobody does. */
  anchors: () => AnchorState[];
  /** How large the ledger is, and how fast it grows. */
  growth: Pick<GrowthWatch, 'size' | 'growth'>;
  /** Personal values beside the ledger. */
  vault: Vault;
  /** C2SP verifier key that the ledger's checkpoints are signed with now. */
  ledgerKey: () => string;
  /** Checks the ledger on disk; slow on long ledgers. */
  verifyLedger: () => Promise<LedgerCheck>;
}

export interface LedgerCheck {
  ok: boolean;
  size: number;
  root: string;
  firstBad: { seq: number; file: string; why: string } | null;
}
