import { expect, test } from 'vitest';
import type { SystemDoc } from '../server/routes/system.ts';
import type { FleetDoc } from '../server/schemas.ts';
import type { Spec } from '../spec/model.ts';
import { resourcesOf } from './resources.ts';

const version = { argv: ['node'], env: {}, endpoints: [], replicas: 2, zone: 'a' };
const spec = {
  services: {
    shop: {
      ...{ name: 'shop', listenPort: 8081, stable: 'v1' },
      versions: { v1: { ...version, name: 'v1' }, v2: { ...version, name: 'v2', argv: null, replicas: 1, zone: null } },
      traffic: {
        ...{ timeoutMs: 5_000, canaryHeader: null, ejection: null, rateLimit: { perSecond: 50, burst: 10 } },
        ...{ retries: { maxTries: 3, perTryMs: 2_000, budgetShare: 0.2 }, gateway: { caps: { maxRequests: 64 } } },
      },
    },
  },
} as unknown as Spec;
const fleet = {
  services: [
    {
      name: 'shop',
      instances: [
        { id: 'shop/v1/1', version: 'v1', phase: 'ready', pid: 11, port: 4001, restarts: 0 },
        { id: 'shop/v1/2', version: 'v1', phase: 'backing-off', pid: null, port: 4002, restarts: 3 },
      ],
    },
  ],
} as unknown as FleetDoc;
const system = { controller: { pid: 7, rssBytes: 90_000_000, heapBytes: 1 } } as unknown as SystemDoc;
const memory = (value: number) => ({ name: 'davy_gateway_resident_memory_bytes', labels: {}, value });

test('what is declared stands beside what runs', () => {
  const { replicas, limits } = resourcesOf(spec, fleet, system, []);
  expect(replicas).toEqual([
    { service: 'shop', version: 'v1', declared: 2, running: 1, zone: 'a', runs: 'process' },
    { service: 'shop', version: 'v2', declared: 1, running: 0, zone: null, runs: 'endpoint' },
  ]);
  expect(limits).toEqual([
    {
      ...{ service: 'shop', listenPort: 8081, timeout: '5s', rate: '50/s, burst 10', retries: '3 tries of 2s' },
      ...{ ejection: 'none', caps: 'maxRequests 64' },
    },
  ]);
});

test('every process stands with its ports; memory that nobody measured is not a figure', () => {
  const { processes } = resourcesOf(spec, fleet, system, [memory(60), memory(61)]);
  expect(processes).toEqual([
    { name: 'controller', pid: 7, ports: [], restarts: null, memoryBytes: 90_000_000 },
    { name: 'gateway 1', pid: null, ports: [8081], restarts: null, memoryBytes: 60 },
    { name: 'gateway 2', pid: null, ports: [8081], restarts: null, memoryBytes: 61 },
    { name: 'shop/v1/1', pid: 11, ports: [4001], restarts: 0, memoryBytes: null },
    { name: 'shop/v1/2', pid: null, ports: [4002], restarts: 3, memoryBytes: null },
  ]);
  expect(resourcesOf(spec, fleet, system, []).processes[1]).toMatchObject({ name: 'gateway', memoryBytes: null });
});
