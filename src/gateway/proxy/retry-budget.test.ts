import { afterEach, expect, it } from 'vitest';
import {
  answering,
  get,
  startGateway,
  startUpstream,
  statusOf,
  type TestGateway,
  type TestUpstream,
  type UpstreamConnection,
} from '../testing/harness.ts';

const answer503 = answering('HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\nno');
const answerAfterMs = 10;
const maxTries = 3;

let upstream: TestUpstream;
let gateway: TestGateway;

afterEach(async () => {
  await gateway.close();
  await upstream.close();
});

/** Tries per path, and the most retries that were at the service at once. */
function watchRetries() {
  const tries = new Map<string, number>();
  let active = 0;
  const seen = { tries, mostRetries: 0 };
  const script = (connection: UpstreamConnection): void => {
    const path = [...connection.received.matchAll(/GET (\S+) HTTP\/1\.1\r\n/g)].at(-1)![1]!;
    const count = (tries.get(path) ?? 0) + 1;
    tries.set(path, count);
    const retry = count > 1 ? 1 : 0;
    active += retry;
    seen.mostRetries = Math.max(seen.mostRetries, active);
    setTimeout(() => {
      active -= retry;
      answer503(connection);
    }, answerAfterMs);
  };
  return { seen, script };
}

it.each([
  ['as many as three of few', 8, 3],
  ['a fifth of many', 100, 20],
])(
  'L01: with everything at 503 there are never more retries at once than %s',
  async (_, clients, most) => {
    const { seen, script } = watchRetries();
    upstream = await startUpstream(script);
    gateway = await startGateway({
      stable: [upstream],
      route: { retries: { maxTries, perTryMs: 2_000, budgetShare: 0.2 } },
    });
    const requests = 1_000;
    let next = 0;
    const statuses = new Set<number>();
    const client = async (): Promise<void> => {
      while (next < requests) statuses.add(statusOf(await gateway.exchange(get(`/${next++}`))));
    };
    await Promise.all(Array.from({ length: clients }, client));
    expect([...statuses]).toEqual([503]);
    expect(seen.tries.size).toBe(requests);
    expect(Math.max(...seen.tries.values())).toBeLessThanOrEqual(maxTries);
    expect(seen.mostRetries).toBeGreaterThan(0);
    expect(seen.mostRetries).toBeLessThanOrEqual(most);
  },
  30_000,
);
