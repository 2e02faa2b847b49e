import type { OwnAnswers } from '../../metrics/source.ts';
import { limits } from '../limits.ts';
import { descriptors } from '../net/descriptors.ts';
import type { Gate, Places } from '../quota/quota.ts';
import type { Endpoint } from '../route/endpoint.ts';
import type { ServiceState } from '../route/service-state.ts';
import { failures, type OwnReply, replies } from './failure.ts';

/** An answer instead of a connection, and where it counts. */
export type Refused = OwnReply & { readonly detail: string; readonly own: keyof OwnAnswers };

/** A place that was granted may be taken by another request before its turn; after so many questions the answer stands. */
const MAX_ASKED = 8;

/**
 * What a try holds of the caps on connections until it has one: a place among the connections of its instance, and one among the requests that wait
 * (Envoy: `max_connections`, `max_pending_requests`).
 */
export class Claim {
  /** Why nothing was taken. */
  refusal: Refused = replies.overCap;
  /** Something was taken, and not given back or passed on. */
  isHeld = false;
  /** Requests share one connection: a new one is no new descriptor. */
  sharesConnection = false;
  /** How often the present request has asked. */
  private asked = 0;
  private connection: Places | null = null;
  private waiting: Places | null = null;

  /**
   * Takes what a new connection needs: true. False: it is refused, as `refusal` says. Null: others must be asked first, and `again` is called when they have answered.
   */
  obtain(endpoint: Endpoint, state: ServiceState, nowMs: number, again: () => void): boolean | null {
    const gate = this.asked < MAX_ASKED ? undecided(endpoint, state, nowMs) : null;
    this.asked = gate === null ? 0 : this.asked + 1;
    gate?.whenDecided(again);
    return gate === null ? this.take(endpoint, state, nowMs) : null;
  }

  /** False: it is refused, as `refusal` says. */
  take(endpoint: Endpoint, { limits: { pending } }: ServiceState, nowMs: number): boolean {
    const { places } = endpoint;
    this.refusal = failures.exhausted;
    if (!this.sharesConnection && !descriptors.mayConnect(nowMs)) return false;
    this.refusal = replies.overCap;
    if (endpoint.open >= limits.upstreamConnections) return false;
    if (places !== null && !places.take(nowMs)) return false;
    this.connection = places;
    if (pending !== null && !pending.take(nowMs)) {
      this.release();
      return false;
    }
    this.waiting = pending;
    this.isHeld = true;
    return true;
  }

  /** The place that goes with the connection and is given back when it closes. */
  passOn(): Places | null {
    const { connection } = this;
    this.connection = null;
    this.isHeld = false;
    return connection;
  }

  /** There is a connection, and nothing to wait for. */
  connected(): void {
    this.waiting?.give();
    this.waiting = null;
  }

  /** Gives back what was not passed on. It may be called at any time. */
  release(): void {
    this.connected();
    this.passOn()?.give();
  }
}

function undecided(endpoint: Endpoint, { limits: { pending } }: ServiceState, nowMs: number): Gate | null {
  const { places } = endpoint;
  if (places !== null && !places.isDecided(nowMs)) return places;
  return pending === null || pending.isDecided(nowMs) ? null : pending;
}
