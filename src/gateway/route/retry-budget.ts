/** Active retries may be at most `share` of the active requests, and always three (Envoy: `retry_budget`, `min_retry_concurrency`). */
const MIN_CONCURRENT_RETRIES = 3;

export class RetryBudget {
  activeRequests = 0;
  activeRetries = 0;

  allows(share: number): boolean {
    return this.activeRetries < Math.max(MIN_CONCURRENT_RETRIES, this.activeRequests * share);
  }
}
