/** What one frame costs, and one that begins a stream: its objects, its request, its end. */
const FRAME_COST = 1;
const HEAD_COST = 8;
/** Work for all connections together in one turn of the event loop: 256 frames, or 32 new streams, which take some 5 ms. */
const TURN_COST = 256;
/** Of it, what one connection may take when several wait. */
const PART_COST = 64;

/** A connection with frames that wait. */
export interface Paced {
  /** Takes frames while `mayGoOn`, and calls `wait` again if there are more. */
  takeTurn(): void;
}

/**
 * Shares the turns of the event loop among the HTTP/2 connections of clients. node:http2 works off at once what it is given, and 64 KB may
 * hold thousands of streams that are opened and reset again: nobody else would be served meanwhile.
 */
export class Pace {
  private left = TURN_COST;
  private part = TURN_COST;
  private waiting: Paced[] = [];
  private scheduled = false;

  /** Whether another frame may be taken in this turn. */
  get mayGoOn(): boolean {
    return this.left > 0 && this.part > 0;
  }

  /** A frame was taken; `isHead`: it began a stream. */
  spend(isHead: boolean): void {
    const cost = isHead ? HEAD_COST : FRAME_COST;
    this.left -= cost;
    this.part -= cost;
    this.schedule();
  }

  /** The connection has frames for a later turn. */
  wait(connection: Paced): void {
    this.waiting.push(connection);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => this.turn());
  }

  /** First come, first served; who did not have its turn now is the first of the next one. */
  private turn(): void {
    this.scheduled = false;
    this.left = TURN_COST;
    const queue = this.waiting;
    this.waiting = [];
    const part = queue.length > 1 ? PART_COST : TURN_COST;
    let served = 0;
    for (; served < queue.length && this.left > 0; served++) {
      this.part = part;
      queue[served]!.takeTurn();
    }
    this.part = this.left;
    if (served < queue.length) this.waiting = [...queue.slice(served), ...this.waiting];
    if (this.waiting.length > 0) this.schedule();
  }
}

/** Of this process. */
export const clientPace = new Pace();
