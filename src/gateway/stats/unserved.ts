import { type Outcome, RESET, TIMEOUT } from './outcome.ts';

/**
 * First tries that got no answer in time: nothing of it came within the route's patience, or before the client left. By how they
 * ended, so that what is an error as well is not counted twice.
 */
export interface UnservedData {
  requests: number;
  status4xx: number;
  status5xx: number;
  timeouts: number;
  resets: number;
}

export class UnservedTally {
  private readonly counts: UnservedData = noneUnserved();

  add(outcome: Outcome): void {
    const { counts } = this;
    counts.requests++;
    if (outcome === TIMEOUT) counts.timeouts++;
    else if (outcome === RESET) counts.resets++;
    else if (outcome >= 500) counts.status5xx++;
    else if (outcome >= 400) counts.status4xx++;
  }

  data(): UnservedData {
    return { ...this.counts };
  }
}

export function noneUnserved(): UnservedData {
  return { requests: 0, status4xx: 0, status5xx: 0, timeouts: 0, resets: 0 };
}
