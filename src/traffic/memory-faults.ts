import type { Clock } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import { trafficErrors } from './errors.ts';
import { FaultBook, type FaultTarget } from './fault-book.ts';
import type { FaultPlane, FaultRule } from './faults.ts';

export interface MemoryFaultPlane extends FaultPlane {
  /** A request on its way, as a data plane sees it; returns the rule that hits it. */
  request(target: FaultTarget): FaultRule | null;
  /** Its process dies and starts anew: without a fault. With `handOver` the next process takes over what is in force. */
  restart(options?: { handOver: boolean }): void;
  /** Every call rejects while true. */
  unreachable: boolean;
}

/** The faults of a data plane without traffic, on a given clock. `addMs` is the delay that a hit of `delayMs` really gets. */
export function createMemoryFaultPlane(
  clock: Clock,
  random: () => number,
  addMs: (delayMs: number) => number = (delayMs) => delayMs,
): MemoryFaultPlane {
  let book = new FaultBook(random);
  const reach = (): void => {
    if (plane.unreachable) throw new DavyError(trafficErrors.unreachable, 'The data plane did not answer.');
  };
  const plane: MemoryFaultPlane = {
    unreachable: false,
    restart({ handOver } = { handOver: false }) {
      const rules = handOver ? book.inForce(clock.monoMs()) : [];
      book = new FaultBook(random);
      book.inject(rules, clock.monoMs());
    },
    async inject(rules) {
      reach();
      const problem = book.inject(rules, clock.monoMs());
      if (problem !== null) throw new DavyError(trafficErrors['invalid-fault'], `The fault was refused: ${problem}.`);
    },
    async clear(ids) {
      reach();
      book.clear(ids, clock.monoMs());
    },
    async reports() {
      reach();
      return book.reports(clock.monoMs());
    },
    request(target) {
      const hit = book.hit(target, clock.monoMs());
      if (hit?.rule.action.kind === 'delay') hit.added(addMs(hit.rule.action.delayMs));
      return hit?.rule ?? null;
    },
  };
  return plane;
}
