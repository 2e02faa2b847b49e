import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import type { FleetDoc } from '../server/schemas.ts';
import { sampleVersions } from './collect.ts';

let server: Server | undefined;
afterEach(() => server?.close());

/** A service that says of itself to be each of these in turn. */
async function sampled(versions: string[]) {
  let at = 0;
  server = createServer((_request, response) => response.end(JSON.stringify({ version: versions[at++] })));
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const fleet = { services: [{ name: 'shop', listenPort: port, canary: null, weightBp: 0 }] } as unknown as FleetDoc;
  return sampleVersions(fleet, 'shop', versions.length);
}

it('counts the versions that answer, whatever they call themselves', async () => {
  const { counts, lines } = await sampled(['v1', 'constructor', 'v1', '__proto__', 'constructor']);
  expect(Object.entries(counts).toSorted()).toEqual([
    ['constructor', 2],
    ['no version: __proto__', 1],
    ['v1', 2],
  ]);
  expect(lines).toHaveLength(5);
});

it('writes a line per answer, and no answer writes another', async () => {
  const { lines } = await sampled(['v1\n   9 v2', 'a\u202eb', 'x'.repeat(10_000)]);
  expect(lines).toEqual(['   1 no version: v1⏎ 9 v2', '   2 no version: a·b', `   3 no version: ${'x'.repeat(40)}`]);
});
