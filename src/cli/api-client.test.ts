import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Clock } from '../lib/clock.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { actorName, connect } from './api-client.ts';
import type { CliIo } from './io.ts';

const starting = { error: { code: 'api/starting', sentence: 'Davy is still reading its ledger.', next: '', exit: 6 } };
let server: Server | undefined;
afterEach(() => server?.close());

/** A Davy that has read its ledger when it is asked for the nth time. */
async function startingUntil(nth: number): Promise<{ port: number; asked: IncomingMessage[] }> {
  const asked: IncomingMessage[] = [];
  server = createServer((request, response) => {
    asked.push(request);
    const isReady = asked.length >= nth;
    response.writeHead(isReady ? 200 : 503).end(JSON.stringify(isReady ? { done: true } : starting));
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, asked };
}

test('a Davy that still reads its ledger is asked again, with the same idempotency key', async () => {
  const { port, asked } = await startingUntil(3);
  const slept: number[] = [];
  const clock: Clock = {
    ...createVirtualClock(),
    after(delayMs, wake) {
      slept.push(delayMs);
      setImmediate(wake);
      return () => {};
    },
  };
  const io = { env: {}, clock, signal: new AbortController().signal } as unknown as CliIo;
  expect(await connect({ port }, io).post('/api/v1/releases', {})).toEqual({ done: true });
  expect(slept).toEqual([200, 200]);
  expect(new Set(asked.map((request) => request.headers['idempotency-key'])).size).toBe(1);
  expect(asked).toHaveLength(3);
});

test.each(['a b', 'a\nb', '-x', 'ada\u202e', 'x'.repeat(65)])('DAVY_ACTOR=%j is no name', (name) => {
  const io = { env: { DAVY_ACTOR: name } } as unknown as CliIo;
  expect(() => actorName(io)).toThrow(expect.objectContaining({ code: 'cli/usage' }));
});
