/**
 * The limits of services whose requests arrive in several processes, held whole by their parent. A process asks for what it needs; it gets that and
 * a little ahead, so that most requests need no question. What lies ahead elsewhere is called back before anybody is refused. So no more is ever
 * admitted than the limit says, and a request is refused only when the limit is reached.
 *
 * Nothing here knows of processes, clocks or messages: holders are whatever the caller says, and times are handed in.
 */
import type { RateLimitSpec } from '../../spec/model.ts';
import type { Quota } from './quota.ts';
import { TokenBucket } from './token-bucket.ts';

/** Tokens that lie ahead in all processes together: at most this share of a burst. So much less of it may be had at once when they were spent unseen. */
const TOKENS_AHEAD = 0.1;
/** Places that lie ahead: this share of those that are free. They can be had back at any time. */
const PLACES_AHEAD = 0.5;
/** A limit of places that is found to be reached is not looked at again for this long. */
const FULL_FOR_MS = 10;
/** The same where a process asks for what is no limit (any more). */
const UNKNOWN_FOR_MS = 100;

export interface Grant {
  /** At most what was asked for, and some ahead. */
  units: number;
  /** When fewer than asked for: how long nobody need ask again. */
  refusedForMs: number;
  /** Of a rate: tokens that are left, for the fields of answers. */
  left: number;
}

/** One limit and where its units are. */
interface Pot<Holder> {
  /** `left`: what the holder has at hand. */
  note(holder: Holder, left: number, nowMs: number): void;
  lend(holder: Holder, need: number, nowMs: number): number;
  back(holder: Holder, units: number, nowMs: number): void;
  /** Who may have something at hand. */
  holders(): Holder[];
  forget(holder: Holder, nowMs: number): void;
  refusedForMs(nowMs: number): number;
  left(nowMs: number): number;
}

class RatePot<Holder> implements Pot<Holder> {
  readonly bucket: TokenBucket;
  private readonly processes: number;
  /** Tokens that a process had ahead of its need when it asked last: it has no more of them now. */
  private readonly ahead = new Map<Holder, number>();

  constructor({ perSecond, burst }: RateLimitSpec, processes: number, nowMs: number) {
    this.bucket = new TokenBucket(perSecond, burst, nowMs);
    this.processes = processes;
  }

  note(holder: Holder, left: number, nowMs: number): void {
    if (left > 0) this.ahead.set(holder, left);
    else this.ahead.delete(holder);
    this.reserve(nowMs);
  }

  lend(holder: Holder, need: number, nowMs: number): number {
    const had = this.ahead.get(holder) ?? 0;
    const ahead = Math.max(0, Math.floor((this.bucket.burst * TOKENS_AHEAD) / this.processes) - had);
    const units = this.bucket.takeUpTo(need + ahead, nowMs);
    if (units > need) this.note(holder, had + units - need, nowMs);
    return units;
  }

  back(holder: Holder, units: number, nowMs: number): void {
    this.note(holder, 0, nowMs);
    this.bucket.putBack(units, nowMs);
  }

  holders(): Holder[] {
    return [...this.ahead.keys()];
  }

  /** Whatever it had is taken as spent. */
  forget(holder: Holder, nowMs: number): void {
    this.note(holder, 0, nowMs);
  }

  refusedForMs(nowMs: number): number {
    return this.bucket.msToToken(nowMs);
  }

  left(nowMs: number): number {
    return this.bucket.tokensAt(nowMs);
  }

  private reserve(nowMs: number): void {
    let sum = 0;
    for (const tokens of this.ahead.values()) sum += tokens;
    this.bucket.reserve(sum, nowMs);
  }
}

class PlacePot<Holder> implements Pot<Holder> {
  count: number;
  private readonly processes: number;
  /** Taken or at hand, by process. */
  private readonly lent = new Map<Holder, number>();

  constructor(count: number, processes: number) {
    this.count = count;
    this.processes = processes;
  }

  note(): void {}

  lend(holder: Holder, need: number): number {
    const free = this.free;
    const units = Math.min(free, need + Math.max(0, Math.floor(((free - need) * PLACES_AHEAD) / this.processes)));
    if (units <= 0) return 0;
    this.lent.set(holder, (this.lent.get(holder) ?? 0) + units);
    return units;
  }

  private get free(): number {
    let lent = 0;
    for (const units of this.lent.values()) lent += units;
    return this.count - lent;
  }

  back(holder: Holder, units: number): void {
    const left = (this.lent.get(holder) ?? 0) - units;
    if (left > 0) this.lent.set(holder, left);
    else this.lent.delete(holder);
  }

  holders(): Holder[] {
    return [...this.lent.keys()];
  }

  /** Its requests are gone with it. */
  forget(holder: Holder): void {
    this.lent.delete(holder);
  }

  refusedForMs(): number {
    return FULL_FOR_MS;
  }

  left(): number {
    return Math.max(0, this.free);
  }
}

export interface QuotaBookOptions<Holder> {
  /** How many processes share the limits. */
  processes: number;
  nowMs: () => number;
  /** Resolves with the units that the holder had at hand and gave back; 0 when it cannot say. */
  recall: (holder: Holder, key: string) => Promise<number>;
}

export class QuotaBook<Holder> {
  private readonly options: QuotaBookOptions<Holder>;
  private readonly rates = new Map<string, RatePot<Holder>>();
  private readonly places = new Map<string, PlacePot<Holder>>();
  /** Questions about one limit are answered one after the other. */
  private readonly turns = new Map<string, Promise<unknown>>();

  constructor(options: QuotaBookOptions<Holder>) {
    this.options = options;
  }

  /** The limits in force from now on. One that stays keeps what is lent of it. */
  define(quotas: readonly Quota[]): void {
    const { processes } = this.options;
    const nowMs = this.options.nowMs();
    const named = new Set(quotas.map(({ key }) => key));
    for (const pots of [this.rates, this.places]) for (const key of pots.keys()) if (!named.has(key)) pots.delete(key);
    for (const quota of quotas) {
      if (quota.kind === 'rate') {
        const { perSecond, burst } = quota.limit;
        const known = this.rates.get(quota.key);
        if (known === undefined) this.rates.set(quota.key, new RatePot(quota.limit, processes, nowMs));
        else known.bucket.resize(perSecond, burst, nowMs);
      } else {
        const known = this.places.get(quota.key);
        if (known === undefined) this.places.set(quota.key, new PlacePot(quota.count, processes));
        else this.changeCount(quota.key, known, quota.count);
      }
    }
  }

  /** Where there are fewer places than before, those at hand everywhere are called back. */
  private changeCount(key: string, pot: PlacePot<Holder>, count: number): void {
    const fewer = count < pot.count;
    pot.count = count;
    if (fewer) void this.inTurn(key, () => this.callBack(key, pot, null));
  }

  /** `need`: units that requests wait for; `left`: what the holder has at hand. */
  ask(holder: Holder, key: string, need: number, left: number): Promise<Grant> {
    return this.inTurn(key, () => this.answer(holder, key, need, left));
  }

  private inTurn<T>(key: string, act: () => Promise<T>): Promise<T> {
    const turn = (this.turns.get(key) ?? Promise.resolve()).then(act);
    const ended = turn.catch(() => {});
    this.turns.set(key, ended);
    void ended.then(() => this.turns.get(key) === ended && this.turns.delete(key));
    return turn;
  }

  private async answer(holder: Holder, key: string, need: number, left: number): Promise<Grant> {
    const { nowMs } = this.options;
    const pot = this.potOf(key);
    if (pot === undefined) return { units: 0, refusedForMs: UNKNOWN_FOR_MS, left: 0 };
    pot.note(holder, left, nowMs());
    let units = pot.lend(holder, need, nowMs());
    if (units < need) {
      await this.callBack(key, pot, holder);
      units += pot.lend(holder, need - units, nowMs());
    }
    return { units, refusedForMs: units < need ? pot.refusedForMs(nowMs()) : 0, left: pot.left(nowMs()) };
  }

  private async callBack(key: string, pot: Pot<Holder>, asker: Holder | null): Promise<void> {
    const others = pot.holders().filter((holder) => holder !== asker);
    await Promise.all(
      others.map(async (holder) => {
        const units = await this.options.recall(holder, key);
        pot.back(holder, units, this.options.nowMs());
      }),
    );
  }

  private potOf(key: string): Pot<Holder> | undefined {
    return this.rates.get(key) ?? this.places.get(key);
  }

  /** The holder gave back what it had at hand. */
  back(holder: Holder, key: string, units: number): void {
    this.potOf(key)?.back(holder, units, this.options.nowMs());
  }

  /** The holder has ended. */
  forget(holder: Holder): void {
    const nowMs = this.options.nowMs();
    for (const pots of [this.rates, this.places]) for (const pot of pots.values()) pot.forget(holder, nowMs);
  }

  /** Tokens of a rate that are not lent: what a successor goes on from, with those that the processes have at hand. */
  tokens(key: string): number {
    return this.rates.get(key)?.bucket.tokensAt(this.options.nowMs()) ?? 0;
  }

  fillTo(key: string, tokens: number): void {
    this.rates.get(key)?.bucket.fillTo(tokens, this.options.nowMs());
  }
}
