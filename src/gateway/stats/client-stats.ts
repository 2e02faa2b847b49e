import { own, setOwn } from '../../lib/own.ts';
import type { ClientCounters } from '../../metrics/source.ts';

/** As `ClientCounters`; `inForce`: clients are what is dealt now. */
export interface ClientsData extends ClientCounters {
  inForce: boolean;
}

/** How a sticky split deals clients to versions. */
export class ClientStats {
  /** Requests of the canary's share that stable had to serve. */
  diverted = 0;
  private readonly dealt = new Map<string, number>();

  deal(version: string): void {
    this.dealt.set(version, (this.dealt.get(version) ?? 0) + 1);
  }

  data(inForce: boolean): ClientsData {
    return { dealt: Object.fromEntries(this.dealt), diverted: this.diverted, inForce };
  }
}

/** Adds up what several processes dealt. */
export function addClients(into: ClientsData, from: ClientsData): void {
  for (const [version, count] of Object.entries(from.dealt))
    setOwn(into.dealt, version, (own(into.dealt, version) ?? 0) + count);
  into.diverted += from.diverted;
  into.inForce ||= from.inForce;
}
