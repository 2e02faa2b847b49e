import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'scripts/**/*.test.ts'],
    // Vitest would leave one processor to itself, half of a small machine; most tests wait for sockets and disks.
    maxWorkers: availableParallelism(),
    // Far more than any test needs: it ends those that hang, and a slow machine is no reason to fail.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    coverage: { provider: 'v8', include: ['src/**/*.ts'] },
  },
});
