import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { runLoad } from './generator.ts';
import { mergeResults, splitPlan } from './split.ts';
import { startLoad, steadyPlan } from './start-load.ts';

const plan = steadyPlan({ url: 'http://127.0.0.1:1/', ratePerSecond: 100, maxConnections: 10, durationMs: 1_000 });

test('the parts have the whole rate and the whole pool, and different seeds', () => {
  const parts = splitPlan(plan, 3);
  const rates = parts.map((part) => (part.model.kind === 'open' ? part.model.stages[0]!.fromPerSecond : 0));
  expect(rates.reduce((sum, rate) => sum + rate, 0)).toBeCloseTo(100);
  expect(parts.map((part) => part.maxConnections)).toEqual([4, 3, 3]);
  expect(new Set(parts.map((part) => part.seed)).size).toBe(3);
});

test.each([0, 1.5, 17, Number.NaN])('%d processes are refused', (processes) => {
  expect(() => splitPlan(plan, processes)).toThrow(expect.objectContaining({ code: 'load/bad-plan' }));
});

test('two runs as one: counts add up, quantiles come from all samples', async () => {
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/bad' ? 500 : 200;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const uniform = (path: string) =>
    steadyPlan({ url: `${url}${path}`, ratePerSecond: 200, arrivals: 'uniform', durationMs: 102 });
  const parts = [await runLoad(uniform('/good')).done, await runLoad(uniform('/bad')).done];
  const merged = mergeResults(parts);
  expect(merged.counts).toEqual({
    requests: 40,
    ok: 20,
    errors: { 'status-5xx': 20 },
    statuses: { '200': 20, '500': 20 },
  });
  expect(merged.response.count).toBe(40);
  expect(merged.response.maxMs).toBeGreaterThanOrEqual(
    Math.max(...parts.map((part) => part.response.quantiles.p50.ms!)),
  );
  expect(merged.offeredPerSecond).toBeCloseTo(parts[0]!.offeredPerSecond + parts[1]!.offeredPerSecond);
  expect(mergeResults([parts[0]!])).toBe(parts[0]);
  const shared = await startLoad(uniform('/good'), () => {}, 2).done;
  expect(shared.counts.ok).toBe(shared.counts.requests);
  expect(shared.counts.requests).toBeGreaterThanOrEqual(18);
  server.closeAllConnections();
  server.close();
});
