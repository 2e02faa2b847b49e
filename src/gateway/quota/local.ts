import type { RateLimitSpec } from '../../spec/model.ts';
import type { Places, QuotaSource } from './quota.ts';
import { TokenBucket } from './token-bucket.ts';

/** Places that one process counts by itself. */
class LocalPlaces implements Places {
  count: number;
  private taken = 0;

  constructor(count: number) {
    this.count = count;
  }

  isDecided(): boolean {
    return true;
  }

  whenDecided(callback: () => void): void {
    setImmediate(callback);
  }

  take(): boolean {
    if (this.taken >= this.count) return false;
    this.taken++;
    return true;
  }

  give(): void {
    this.taken--;
  }
}

/** The limits of a gateway of one process. */
export class LocalQuotas implements QuotaSource {
  readonly isShared = false;
  private readonly buckets = new Map<string, TokenBucket>();
  private readonly rooms = new Map<string, LocalPlaces>();

  limiter(key: string, { perSecond, burst }: RateLimitSpec, nowMs: number): TokenBucket {
    const known = this.buckets.get(key);
    if (known !== undefined) {
      known.resize(perSecond, burst, nowMs);
      return known;
    }
    const bucket = new TokenBucket(perSecond, burst, nowMs);
    this.buckets.set(key, bucket);
    return bucket;
  }

  places(key: string, count: number): Places {
    const known = this.rooms.get(key);
    if (known !== undefined) {
      known.count = count;
      return known;
    }
    const places = new LocalPlaces(count);
    this.rooms.set(key, places);
    return places;
  }
}
