/** One try in progress: a link of its instance's list for as long as the instance is occupied by it. */
export interface Flight {
  /** Touched by the list only. */
  nextFlight: Flight | null;
  previousFlight: Flight | null;
  /** The answer's head has come. */
  readonly isAnswered: boolean;
  /** The request's first try, which the judge reads, and not counted yet. */
  readonly isUncounted: boolean;
  /** How long the version has taken so far, ms, up to the head of a stream; -1 while its time does not run (an upload, an injected delay). */
  ageMs(nowMs: number): number;
  /** A first try that is not counted yet, and whose answer's head came later than its route has patience for, or has not come by then. */
  isOverdue(nowMs: number): boolean;
  /** Ends it: the version gets no more traffic, and its time to finish is over. */
  cut(): void;
  /** Counts the first try now when it is a stream that has been open for long enough to be an answer. */
  countStream(nowMs: number): void;
}

/** The tries that occupy one instance in one cohort. Linking and unlinking cost a few writes and allocate nothing. */
export class FlightList {
  size = 0;
  private first: Flight | null = null;
  private last: Flight | null = null;

  add(flight: Flight): void {
    flight.previousFlight = this.last;
    flight.nextFlight = null;
    if (this.last === null) this.first = flight;
    else this.last.nextFlight = flight;
    this.last = flight;
    this.size++;
  }

  remove(flight: Flight): void {
    const { previousFlight: previous, nextFlight: next } = flight;
    if (previous === null) this.first = next;
    else previous.nextFlight = next;
    if (next === null) this.last = previous;
    else next.previousFlight = previous;
    flight.nextFlight = flight.previousFlight = null;
    this.size--;
  }

  /** Calls `visit` for each, in the order in which they began; it may remove the one in hand, and no other. */
  forEach(visit: (flight: Flight) => void): void {
    let flight = this.first;
    while (flight !== null) {
      const next: Flight | null = flight.nextFlight;
      visit(flight);
      flight = next;
    }
  }
}

/** What is in progress on one instance in one cohort, as plain data: a gauge, added up over processes. */
export interface InFlightData {
  /** Tries, streams and tunnels that occupy the instance. */
  requests: number;
  /** Of these, the ones whose answer's head has not come. */
  unanswered: number;
  /** First tries among those that count as not served already. */
  overdue: number;
  /** First tries that are not counted yet, by how long they have taken so far: in the bins of the instance's tallies. */
  bins: number[];
}
