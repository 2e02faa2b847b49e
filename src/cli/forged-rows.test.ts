import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TRICKS } from '../lib/outside-text/hostile.fixture.ts';
import { given, requestedV2, stepOf } from '../release/release.fixture.ts';
import { releaseView } from '../release/view.ts';
import type { ChaosRunDoc } from '../server/routes/chaos.ts';
import type { FleetDoc, ReleaseDoc } from '../server/schemas.ts';
import { register as chaos } from './chaos.ts';
import { register as explain } from './explain.ts';
import type { CliIo } from './io.ts';
import { recordingIo } from './recording-io.fixture.ts';
import { register as status } from './status.ts';

/** A server that answers like a Davy in which every text that somebody typed or a service wrote is `text`. */
function documents(text: string): Record<string, unknown> {
  const known = given(requestedV2, stepOf(0)).releases['shop-1']!;
  const release = {
    ...releaseView(known, null),
    reason: text,
    requestedBy: text,
    held: { verdict: text, reason: text },
  };
  const fleet = {
    ...{ schemaVersion: 1, system: text, nowMs: 0 },
    services: [
      {
        ...{ name: 'shop', listenPort: 1, stable: text, active: null, canary: text, weightBp: 0, effectiveWeightBp: 0 },
        instances: [
          ...[{ id: text, service: 'shop', version: text, phase: 'unhealthy', problem: text }],
        ] as unknown as FleetDoc['services'][number]['instances'],
      },
    ],
    releases: [release as unknown as ReleaseDoc],
    traffic: {
      ...{ generation: 1, problem: text, warnings: [text] },
      hold: {
        signs: [{ by: text, says: text }],
        services: [{ service: text, stable: text, canary: text, weightBp: 0, decidedBp: 1 }],
      },
    },
    dirty: [{ run: text, fault: text, why: text }],
    ledger: {
      size: 1,
      bytes: 1,
      growth: null,
      tip: '',
      late: 0,
      anchors: [{ name: text, problem: text, sinceMs: null, size: 0, atMs: null }],
    },
  };
  const run = {
    ...{ id: 'chaos-1', experiment: text, hypothesis: text, service: text, fault: text, what: text, phase: text },
    ...{ by: text, reason: text, targets: [text], conclusion: { verdict: 'FAIL', reasons: [text], recovery: [] } },
  } as unknown as ChaosRunDoc;
  return { '/api/v1/fleet': fleet, '/api/v1/releases/shop-1': release, '/api/v1/chaos/runs': [run] };
}

describe('what people and services wrote', () => {
  let server: Server;
  let url = '';
  let answers: Record<string, unknown> = {};

  beforeAll(async () => {
    server = createServer((request, response) => response.end(JSON.stringify(answers[request.url ?? ''])));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  async function shown(register: (program: Command, io: CliIo) => void, argv: string[], text: string): Promise<string> {
    answers = documents(text);
    const { io, got } = recordingIo('/');
    const program = new Command().exitOverride();
    register(program, io);
    await program.parseAsync([...argv, '--url', url], { from: 'user' });
    return got.out;
  }

  const commands = [
    ['status', status, ['status']],
    ['explain', explain, ['explain', 'shop-1']],
    ['chaos history', chaos, ['chaos', 'history']],
  ] as const;

  describe.each(commands)('in davy %s', (_, register, argv) => {
    it('stands in the line that it belongs to', async () => {
      const forged = 'ok\nsvc-99  v9  completed  PASS  every step held';
      const lines = (await shown(register, [...argv], forged)).split('\n');
      expect(lines).toHaveLength((await shown(register, [...argv], 'ok')).split('\n').length);
      expect(lines.some((line) => line.trimStart().startsWith('svc-99'))).toBe(false);
    });

    it.each(Object.entries(TRICKS))('shows %s', async (_trick, trick) => {
      for (const format of [[], ['-o', 'json']]) {
        const out = await shown(register, [...argv, ...format], `a${trick}b`);
        expect(out).not.toMatch(/[[\p{Cc}--\n]\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\u200b\ufeff]/v);
      }
    });
  });
});
