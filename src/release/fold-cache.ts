import type { Judge } from '../analysis/judge.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { own } from '../lib/own.ts';
import { beginning, foldOn } from './history.ts';
import type { Past } from './past.ts';

/** Records between two kept folds to begin with; it doubles whenever there are too many. */
const FIRST_SPACING = 256;
const MAX_KEPT = 256;

export interface FoldCacheParts {
  ledger: Ledger;
  judge: Judge;
  /** Lets other work of the process go first. */
  turn: () => Promise<unknown>;
  /** Folds kept at most; 256 if absent. */
  maxKept?: number;
}

/**
 * The fleet as it was before any record. Folds along the way are kept, evenly spread over the ledger and never more than a number of them,
 * so that a question folds a small part of it. They are plain immutable data that share what did not change in between.
 */
export class FoldCache {
  readonly #parts: FoldCacheParts;
  /** Ascending by `nextSeq`, each a multiple of the spacing. */
  #kept: Past[] = [beginning()];
  #spacing = FIRST_SPACING;
  #tail: Promise<unknown> = Promise.resolve();
  #following = false;

  constructor(parts: FoldCacheParts) {
    this.#parts = parts;
  }

  /** Takes over a fold that somebody made anyway: the replay at a start comes past all of them. */
  offer(past: Past): void {
    if (past.nextSeq % this.#spacing !== 0 || past.nextSeq <= this.#reach()) return;
    // What was asked under which key says nothing about how things stood, and can be large.
    this.#kept.push({ nextSeq: past.nextSeq, fleet: { ...past.fleet, keys: {} } });
    if (this.#kept.length <= (this.#parts.maxKept ?? MAX_KEPT)) return;
    this.#spacing *= 2;
    this.#kept = this.#kept.filter((one) => one.nextSeq % this.#spacing === 0);
  }

  /** Keeps up with the ledger from now on. Returns the function that ends it. */
  follow(): () => void {
    return this.#parts.ledger.subscribe((records) => {
      const size = (records.at(-1)?.seq ?? -1) + 1;
      if (this.#following || size < this.#reach() + this.#spacing) return;
      this.#following = true;
      this.before(size)
        // A fold that fails here fails again for whoever asks for it, and is told to them.
        .catch(() => {})
        .finally(() => {
          this.#following = false;
        });
    });
  }

  /** The fold of all records before `seq`, which is at most the ledger's size. One fold is made at a time. */
  before(seq: number): Promise<Past> {
    const run = this.#tail.then(() => this.#foldTo(seq));
    this.#tail = run.catch(() => {});
    return run;
  }

  /** A kept fold from before the release was, and the record by which it had ended (the ledger's end when none is known). */
  around(release: string): { from: Past; toSeq: number } {
    const from = this.#kept.findLast(({ fleet }) => own(fleet.releases, release) === undefined) ?? beginning();
    const after = this.#kept.find(({ fleet }) => (own(fleet.releases, release)?.endedAtMs ?? null) !== null);
    return { from, toSeq: after?.nextSeq ?? this.#parts.ledger.head().size };
  }

  async #foldTo(seq: number): Promise<Past> {
    const { ledger, judge, turn } = this.#parts;
    let past = this.#kept.findLast((one) => one.nextSeq <= seq) ?? beginning();
    while (past.nextSeq < seq) {
      const stop = Math.min(seq, (Math.floor(past.nextSeq / this.#spacing) + 1) * this.#spacing);
      const { fleet } = await foldOn(past, ledger, judge, { beforeSeq: stop, release: null, turn });
      past = { nextSeq: stop, fleet };
      this.offer(past);
    }
    return past;
  }

  #reach(): number {
    return this.#kept.at(-1)?.nextSeq ?? 0;
  }
}
