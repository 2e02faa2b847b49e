import { afterEach } from 'vitest';
import {
  type RouteParts,
  type Script,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from './harness.ts';

/** What is pushed here closes what a test has opened: it is called after that test, the newest first. */
export function closedAfterEach(): (() => unknown)[] {
  const open: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });
  return open;
}

interface Opened {
  upstream(script?: Script): Promise<TestUpstream>;
  gatewayTo(parts: RouteParts): Promise<TestGateway>;
}

/** Upstreams and gateways that end with the test that asked for them. */
export function openedForTest(): Opened {
  const open = closedAfterEach();
  const opened = <T extends { close(): Promise<void> }>(one: T): T => {
    open.push(() => one.close());
    return one;
  };
  return {
    upstream: async (script) => opened(await startUpstream(script)),
    gatewayTo: async (parts) => opened(await startGateway(parts)),
  };
}
