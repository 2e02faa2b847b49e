import type { LookupFunction } from 'node:net';
import type { FaultBook } from '../traffic/fault-book.ts';
import type { Wheel } from './net/wheel.ts';

/** What all listeners of one process share. */
export interface GatewayContext {
  wheel: Wheel;
  faults: FaultBook;
  /** Signs the places of sticky clients where a route brings no secret of its own. */
  stickyKey: Buffer;
  /** How the names of CONNECT targets become addresses; the system's way if absent. */
  lookup?: LookupFunction | undefined;
}
