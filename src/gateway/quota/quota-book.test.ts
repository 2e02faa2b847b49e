import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuotaBook } from './quota-book.ts';

/** A process: what it has at hand, and what it has in use. */
class Process {
  atHand = 0;
  inUse = 0;
}

const KEY = 'a limit';

/** Several processes that share one limit, on a clock that is moved by hand. */
function sharedBy(count: number) {
  let nowMs = 0;
  const processes = Array.from({ length: count }, () => new Process());
  const book = new QuotaBook<Process>({
    processes: count,
    nowMs: () => nowMs,
    recall: async (process) => {
      const units = process.atHand;
      process.atHand = 0;
      return units;
    },
  });
  return {
    book,
    processes,
    pass: (ms: number) => {
      nowMs += ms;
    },
    nowMs: () => nowMs,
    rate: (perSecond: number, burst: number) => book.define([{ key: KEY, kind: 'rate', limit: { perSecond, burst } }]),
    places: (places: number) => book.define([{ key: KEY, kind: 'places', count: places }]),
    /** One request at a process; whether it is admitted. */
    take: async (process: Process): Promise<boolean> => {
      if (process.atHand === 0) process.atHand += (await book.ask(process, KEY, 1, 0)).units;
      if (process.atHand === 0) return false;
      process.atHand--;
      process.inUse++;
      return true;
    },
  };
}

const steps = fc.array(fc.record({ at: fc.nat(3), gapMs: fc.constantFrom(0, 0, 0, 1, 7, 150) }), { maxLength: 300 });

describe('a rate that four processes share', () => {
  it('is never exceeded, and nobody is refused while there is a token anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0.5, 1, 20, 1_000),
        fc.constantFrom(1, 2, 3, 10, 100, 1_000),
        steps,
        async (perSecond, burst, requests) => {
          const shared = sharedBy(4);
          shared.rate(perSecond, burst);
          let admitted = 0;
          for (const { at, gapMs } of requests) {
            shared.pass(gapMs);
            const before = shared.book.tokens(KEY);
            const atHand = shared.processes.reduce((sum, process) => sum + process.atHand, 0);
            if (await shared.take(shared.processes[at]!)) admitted++;
            else expect(Math.floor(before) + atHand).toBe(0);
            expect(admitted).toBeLessThanOrEqual(burst + (perSecond * shared.nowMs()) / 1000 + 1e-6);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('admits the first request ever, wherever it arrives, and the second one of a burst of one only when its time has come', async () => {
    for (let at = 0; at < 4; at++) {
      const shared = sharedBy(4);
      shared.rate(1, 1);
      expect(await shared.take(shared.processes[at]!)).toBe(true);
      for (const process of shared.processes) expect(await shared.take(process)).toBe(false);
      shared.pass(1_000);
      expect(await shared.take(shared.processes[(at + 1) % 4]!)).toBe(true);
    }
  });

  it('admits what it says within the tenth of a burst that may lie ahead, at any load', async () => {
    const shared = sharedBy(4);
    shared.rate(1_000, 200);
    let admitted = 0;
    for (let ms = 0; ms < 5_000; ms++) {
      shared.pass(1);
      // All the load is at one process for a second each.
      for (let i = 0; i < 4; i++) if (await shared.take(shared.processes[Math.floor(ms / 1_000) % 4]!)) admitted++;
    }
    expect(admitted).toBeLessThanOrEqual(5_200);
    expect(admitted).toBeGreaterThanOrEqual(5_200 - 20);
  });

  it('lends a little ahead of a large burst, so that most requests need no question, and nothing of a small one', async () => {
    const shared = sharedBy(4);
    shared.rate(1_000, 400);
    const [first] = shared.processes;
    expect((await shared.book.ask(first!, KEY, 3, 0)).units).toBe(3 + 10);
    shared.rate(1_000, 39);
    expect((await shared.book.ask(shared.processes[1]!, KEY, 3, 0)).units).toBe(3);
  });

  it('says how long nobody need ask again', async () => {
    const shared = sharedBy(4);
    shared.rate(10, 1);
    const [first, second] = shared.processes;
    expect(await shared.book.ask(first!, KEY, 1, 0)).toMatchObject({ units: 1, refusedForMs: 0 });
    expect(await shared.book.ask(second!, KEY, 1, 0)).toMatchObject({ units: 0, refusedForMs: 100 });
  });

  it('goes on with what is left when its bounds change, and loses nothing of it with a process that dies', async () => {
    const shared = sharedBy(2);
    shared.rate(1, 100);
    const [first, second] = shared.processes;
    expect((await shared.book.ask(first!, KEY, 50, 0)).units).toBe(55);
    shared.rate(1, 10);
    expect(shared.book.tokens(KEY)).toBe(5);
    shared.book.forget(first!);
    shared.pass(5_000);
    expect(shared.book.tokens(KEY)).toBe(10);
    expect((await shared.book.ask(second!, KEY, 20, 0)).units).toBe(10);
  });
});

describe('places that four processes share', () => {
  it('are never more than there are, and nobody is refused while one is free anywhere', async () => {
    const step = fc.record({ at: fc.nat(3), act: fc.constantFrom('take', 'take', 'take', 'give', 'die') });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(1, 2, 3, 7, 40), fc.array(step, { maxLength: 300 }), async (count, acts) => {
        const shared = sharedBy(4);
        shared.places(count);
        const inUse = () => shared.processes.reduce((sum, process) => sum + process.inUse, 0);
        for (const { at, act } of acts) {
          const process = shared.processes[at]!;
          if (act === 'die') {
            shared.book.forget(process);
            shared.processes[at] = new Process();
          } else if (act === 'give') {
            if (process.inUse === 0) continue;
            process.inUse--;
            process.atHand++;
          } else if (!(await shared.take(process))) {
            expect(inUse()).toBe(count);
          }
          expect(inUse()).toBeLessThanOrEqual(count);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('that become fewer are called back at once, and those in use are waited for', async () => {
    const shared = sharedBy(2);
    shared.places(10);
    const [first, second] = shared.processes;
    for (let i = 0; i < 4; i++) await shared.take(first!);
    shared.places(3);
    expect(await shared.take(second!)).toBe(false);
    expect(first!.atHand).toBe(0);
    first!.inUse -= 2;
    first!.atHand += 2;
    expect(await shared.take(second!)).toBe(true);
    expect(await shared.take(second!)).toBe(false);
  });

  it('are no limit any more once they are not declared', async () => {
    const shared = sharedBy(2);
    shared.places(1);
    shared.book.define([]);
    expect(await shared.book.ask(shared.processes[0]!, KEY, 1, 0)).toMatchObject({ units: 0 });
  });

  it('that come back too late for a question are there for the next one', async () => {
    const book = new QuotaBook<Process>({ processes: 2, nowMs: () => 0, recall: async () => 0 });
    book.define([{ key: KEY, kind: 'places', count: 4 }]);
    const [first, second] = [new Process(), new Process()];
    expect((await book.ask(first, KEY, 4, 0)).units).toBe(4);
    expect((await book.ask(second, KEY, 1, 0)).units).toBe(0);
    book.back(first, KEY, 4);
    expect((await book.ask(second, KEY, 1, 0)).units).toBeGreaterThanOrEqual(1);
  });
});
