import type { LedgerRecord } from '../../../src/ledger/record.ts';
import { get } from '../api.ts';

/** What the API answers. */
export interface PageDoc {
  size: number;
  next: number;
  records: LedgerRecord[];
}

const PAGE = 200;
/** Pages whose records are in memory; the others know where they begin and are fetched again. */
const MAX_LOADED = 40;
/** New hits shown above the first page before the search begins anew. */
const MAX_FRESH = 2_000;

interface Hits {
  /** The cursor that gives this page. */
  before: number;
  count: number;
  records: LedgerRecord[] | null;
}

/**
 * What fits a filter, newest first, as far as somebody scrolled: the server is asked for one page after the other with a cursor, so
 * that there is no number beyond which nothing is found. Pages long out of sight are let go and fetched again.
 */
export class Found {
  readonly #query: string;
  readonly #changed: () => void;
  #fresh: LedgerRecord[] = [];
  #pages: Hits[] = [];
  /** Records before this one were not searched yet; 0 when all were. */
  #cursor: number;
  /** Records from this one on were not searched for new hits. */
  #newest: number;
  #busy = false;
  #closed = false;
  problem: unknown = null;

  /** `size`: records that exist now, or existed then. */
  constructor(filter: { types: string[]; text: string }, size: number, changed: () => void) {
    this.#query = `type=${encodeURIComponent(filter.types.join(','))}&text=${encodeURIComponent(filter.text)}`;
    this.#cursor = this.#newest = size;
    this.#changed = changed;
    void this.#work(() => this.#fetchOn());
  }

  close(): void {
    this.#closed = true;
  }

  get count(): number {
    return this.#fresh.length + this.#paged();
  }

  get done(): boolean {
    return this.#cursor === 0;
  }

  /** Down to which record was searched. */
  get searchedTo(): number {
    return this.#cursor;
  }

  at(index: number): LedgerRecord | undefined {
    if (index < this.#fresh.length) return this.#fresh[index];
    const place = index - this.#fresh.length;
    return this.#pages[Math.floor(place / PAGE)]?.records?.[place % PAGE];
  }

  /** Somebody looks at these rows: what is missing there, or comes soon, is fetched. */
  look(first: number, last: number): void {
    const from = Math.max(0, Math.floor((first - this.#fresh.length) / PAGE));
    const to = Math.max(0, Math.floor((last - this.#fresh.length) / PAGE));
    const missing = this.#pages.slice(from, to + 1).find((page) => page.records === null);
    if (missing) void this.#work(() => this.#fetchAgain(missing, from));
    else if (last + PAGE / 4 >= this.count && !this.done) void this.#work(() => this.#fetchOn());
  }

  /** More records exist now. */
  grown(size: number): void {
    if (size > this.#newest) void this.#work(() => this.#fetchFresh(size));
  }

  #paged(): number {
    const last = this.#pages.at(-1);
    return last ? (this.#pages.length - 1) * PAGE + last.count : 0;
  }

  async #work(task: () => Promise<void>): Promise<void> {
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    try {
      await task();
      this.problem = null;
    } catch (error) {
      this.problem = error;
    }
    this.#busy = false;
    if (!this.#closed) this.#changed();
  }

  /** The next page: a call looks at a bounded piece of the ledger, so a page may take several. */
  async #fetchOn(): Promise<void> {
    const page: Hits = this.#unfilled() ?? { before: this.#cursor, count: 0, records: [] };
    if (page.count === 0) this.#pages.push(page);
    page.records ??= await this.#collect(page.before, page.count);
    while (page.count < PAGE && this.#cursor > 0 && !this.#closed) {
      const found = await this.#ask(`before=${this.#cursor}&limit=${PAGE - page.count}`);
      this.#cursor = found.next;
      page.records = [...page.records, ...found.records];
      page.count = page.records.length;
      this.#changed();
    }
    if (page.count === 0) this.#pages.pop();
    this.#forget(this.#pages.length - 1);
  }

  #unfilled(): Hits | undefined {
    const last = this.#pages.at(-1);
    return last && last.count < PAGE ? last : undefined;
  }

  async #fetchAgain(page: Hits, index: number): Promise<void> {
    page.records = await this.#collect(page.before, page.count);
    this.#forget(index);
  }

  async #collect(before: number, count: number): Promise<LedgerRecord[]> {
    let records: LedgerRecord[] = [];
    for (let cursor = before; records.length < count && cursor > 0; ) {
      const found = await this.#ask(`before=${cursor}&limit=${count - records.length}`);
      records = [...records, ...found.records];
      cursor = found.next;
    }
    return records;
  }

  async #fetchFresh(size: number): Promise<void> {
    for (let from = this.#newest; from < size; from = this.#newest) {
      const found = await this.#ask(`from=${from}&limit=1000`);
      this.#newest = Math.max(found.next, from + 1);
      this.#fresh = [...found.records.reverse(), ...this.#fresh];
    }
    if (this.#fresh.length <= MAX_FRESH) return;
    this.#fresh = [];
    this.#pages = [];
    this.#cursor = this.#newest;
    await this.#fetchOn();
  }

  #forget(near: number): void {
    const loaded = this.#pages.flatMap((page, index) => (page.records === null ? [] : [index]));
    if (loaded.length <= MAX_LOADED) return;
    const farthest = loaded.reduce((a, b) => (Math.abs(b - near) > Math.abs(a - near) ? b : a));
    const page = this.#pages[farthest];
    if (page) page.records = null;
  }

  #ask(range: string): Promise<PageDoc> {
    return get<PageDoc>(`/api/v1/records?${range}&${this.#query}`);
  }
}
