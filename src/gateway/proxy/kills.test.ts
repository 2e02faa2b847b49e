import { expect, it } from 'vitest';
import type { UnservedCounts } from '../../metrics/source.ts';
import { Dice } from '../testing/fuzz.ts';
import {
  answering,
  connectRaw,
  get,
  type Script,
  startGateway,
  startUpstream,
  statusOf,
  type TestGateway,
} from '../testing/harness.ts';

const BODY = 'x'.repeat(200_000);

/**
 * Checks at each call that what is known only grows: a request that has waited longer than an edge has done so for good, however it ends. The
 * judge reads the differences.
 */
function knownOf(gateway: TestGateway): () => void {
  let before: number[] = [];
  return () => {
    const now = gateway.engine.counters().services[0]!.instances.flatMap(({ firstTry, waiting, started, unserved }) => {
      const over = firstTry.over.map((count, edge) => count + waiting!.over[edge]!);
      const errors = (counts: UnservedCounts): number => counts.status5xx + counts.timeouts + counts.resets;
      const lost = errors(firstTry) + unserved!.requests - errors(unserved!) + waiting!.overdue;
      const known = waiting!.over.map((count) => count + firstTry.requests);
      return [started!, ...over, ...known, firstTry.requests + waiting!.overdue, lost];
    });
    before.forEach((count, i) => {
      expect(now[i]).toBeGreaterThanOrEqual(count);
    });
    before = now;
  };
}

/** Upstreams and clients that die at any moment, in any state, must leave nothing behind: no load, no budget, no connection. */
it('random kills of either side leak nothing', async () => {
  const dice = new Dice(Number(process.env.FUZZ_SEED ?? 7));
  const misbehaving: Script = (connection) => {
    switch (dice.below(9)) {
      case 0:
        connection.socket.destroy();
        break;
      case 1:
        connection.socket.resetAndDestroy();
        break;
      case 2:
        connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () =>
          connection.socket.destroy(),
        );
        break;
      case 3:
        connection.socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab');
        setImmediate(() => connection.socket.resetAndDestroy());
        break;
      case 4:
        connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`);
        break;
      case 5:
        break;
      case 6:
        connection.socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n');
        setTimeout(() => connection.socket.destroy(), dice.below(30));
        break;
      case 7:
        connection.socket.write('HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
        setTimeout(() => connection.socket.resetAndDestroy(), dice.below(30));
        break;
      default:
        answering()(connection);
    }
  };
  const upstreams = [await startUpstream(misbehaving), await startUpstream(misbehaving)];
  const retries = { maxTries: 3, perTryMs: 100, budgetShare: 0.5 };
  const caps = { maxRequests: 100, maxPending: 100 };
  const route = { retries, caps, timeoutMs: 250, edgesMs: [2, 10, 50, 200] };
  const gateway = await startGateway({ stable: upstreams, route });
  const upgrade = 'GET / HTTP/1.1\r\nHost: svc\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  const one = async () => {
    const client = connectRaw(gateway.port);
    const post = `POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: ${BODY.length}\r\nConnection: close\r\n\r\n`;
    const kind = dice.below(7);
    client.send(kind < 2 ? get() : kind === 2 ? upgrade : kind === 3 ? post : post + BODY);
    if (kind === 3) client.send(BODY.slice(0, dice.below(BODY.length)));
    if (dice.below(3) === 0 || kind === 3) {
      await new Promise((resolve) => setTimeout(resolve, dice.below(20)));
      if (dice.below(2) === 0) client.socket.resetAndDestroy();
      else client.socket.destroy();
    } else if (kind === 2) {
      // An answer that does not switch leaves the connection open.
      setTimeout(() => client.socket.end(), 40);
    }
    await client.closed();
  };
  const known = knownOf(gateway);
  const canary = { canary: upstreams, canaryRoute: { weightBp: 5_000 } };
  for (let round = 0; round < 20; round++) {
    const clients = Array.from({ length: 12 }, () => one().then(known));
    // In the midst of it a version comes and goes; what is left on it is cut after a moment.
    await gateway.apply({ stable: upstreams, ...(round % 2 === 0 ? canary : {}), route: { ...route, drainMs: 10 } });
    await Promise.all(clients);
  }
  const leftovers = () => {
    const [report] = gateway.engine.reports();
    const busy = report!.endpoints.reduce((sum, { inFlight }) => sum + inFlight, 0);
    return {
      busy,
      retries: report!.extras.active_retries,
      active: report!.extras.active_requests,
      departed: report!.extras.departed_open,
      flights: report!.instances.reduce((sum, { inFlight }) => sum + inFlight!.requests, 0),
    };
  };
  // Half-open clients whose answer is still due end within the route's time.
  for (let i = 0; i < 200 && leftovers().active !== 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(leftovers()).toEqual({ busy: 0, retries: 0, active: 0, departed: 0, flights: 0 });
  const { requests, pending } = gateway.engine.states.get('svc')!.limits;
  for (const places of [requests!, pending!]) {
    let free = 0;
    while (places.take(0)) free++;
    expect(free).toBe(100);
    while (free-- > 0) places.give();
  }
  for (const upstream of upstreams) upstream.script = answering();
  await gateway.apply({ stable: upstreams, route });
  // What the killed connections had is gone; new requests are answered.
  for (let i = 0; i < 20; i++) expect(statusOf(await gateway.exchange(get()))).toBe(200);
  await gateway.close();
  for (const upstream of upstreams) await upstream.close();
});
