import { once } from 'node:events';
import http from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  answering,
  connectRaw,
  countRequests,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { smugglingCorpus } from '../testing/smuggling-corpus.ts';

/** Connections stay open from one attack to the next; what they received before is forgotten. */
function forget(upstream: TestUpstream): void {
  for (const connection of upstream.connections) {
    connection.received = '';
    connection.answers = 0;
  }
}

/**
 * The oracle: two upstreams read what the gateway sends, one octet-exact, one with node:http. Whatever a client sends, the
 * requests that reach them are those that the gateway itself answered, no more, framed in one way only.
 */
describe('request smuggling', () => {
  let raw: TestUpstream;
  let byRaw: TestGateway;
  let byNode: TestGateway;
  let node: http.Server;
  let nodeSaw: string[] = [];

  beforeAll(async () => {
    raw = await startUpstream(answering());
    node = http.createServer((request, response) => {
      request.resume().on('end', () => {
        nodeSaw.push(`${request.method} ${request.url}`);
        response.end('ok');
      });
    });
    node.on('clientError', (_error, socket) => {
      nodeSaw.push('malformed');
      socket.destroy();
    });
    node.listen(0, '127.0.0.1');
    await once(node, 'listening');
    byRaw = await startGateway({ stable: [raw] });
    byNode = await startGateway({ stable: [{ ...raw, port: (node.address() as { port: number }).port }] });
  });

  afterAll(async () => {
    await byRaw.close();
    await byNode.close();
    await raw.close();
    node.closeAllConnections();
    node.close();
  });

  /** Sends the octets and one clean request behind them; resolves when the gateway has closed. */
  async function attack(gateway: TestGateway, octets: string): Promise<string> {
    const client = connectRaw(gateway.port, { allowHalfOpen: true });
    client.socket.end(Buffer.from(octets, 'latin1'));
    return client.closed();
  }

  it.each(smugglingCorpus().map(({ name, octets }) => [JSON.stringify(name).slice(0, 80), octets] as const))(
    '%s',
    async (_name, octets) => {
      forget(raw);
      nodeSaw = [];
      const answer = await attack(byRaw, octets);
      await attack(byNode, octets);
      const answers = answer.match(/HTTP\/1\.1 \d{3}/g) ?? [];
      const relayed = answers.filter((line) => line.endsWith('200')).length;
      // As many requests arrived, whole, as were answered by the upstream; nothing was left over on any connection.
      const seen = raw.connections.map((connection) => countRequests(connection.received));
      expect(seen.reduce((sum, { complete }) => sum + complete, 0)).toBe(relayed);
      const leftOver = seen.filter(({ rest }) => rest !== '').length;
      // The last message may have broken off: it is cut, never completed.
      expect(leftOver).toBeLessThanOrEqual(answers.length - relayed + 1);
      expect(seen.every(({ rest }) => !rest.startsWith('GET /smuggled'))).toBe(true);
      for (const { received } of raw.connections) {
        const head = received.slice(0, received.indexOf('\r\n\r\n') + 4).toLowerCase();
        const framings = (head.match(/\r\n(content-length|transfer-encoding):/g) ?? []).length;
        expect(framings).toBeLessThanOrEqual(1);
      }
      expect(nodeSaw.filter((line) => line !== 'malformed').length).toBe(relayed);
    },
  );
});

describe('every split of the octets', () => {
  it('gives the same answer and the same request', async () => {
    const upstream = await startUpstream(answering());
    const gateway = await startGateway({ stable: [upstream] });
    const corpus = [
      'GET /a HTTP/1.1\r\nHost: svc\r\nX: y\r\n\r\n',
      'POST /b HTTP/1.1\r\nHost: svc\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n',
      'PUT /c HTTP/1.1\r\nHost: svc\r\nContent-Length: 4\r\n\r\nbodyGET /d HTTP/1.1\r\nHost: svc\r\n\r\n',
      'GET /e HTTP/1.1\r\nHost: svc\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n',
    ];
    for (const octets of corpus) {
      const run = async (cut: number) => {
        forget(upstream);
        const client = connectRaw(gateway.port, { allowHalfOpen: true });
        client.socket.write(Buffer.from(octets.slice(0, cut), 'latin1'));
        // Two turns of the loop: the first piece is read alone.
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        client.socket.end(Buffer.from(octets.slice(cut), 'latin1'));
        const answer = (await client.closed()).replace(/Date: [^\r]+/g, '');
        const merged = upstream.received().replace(/traceparent: [^\r]+/g, '');
        // Chunks are framed as they arrive: compare their content.
        return {
          answer,
          request: merged.replace(/(?<=\r\n)[0-9a-f]+\r\n/g, '').replace(/(?<=[a-z])\r\n(?=[a-c])/g, ''),
        };
      };
      const whole = await run(0);
      for (let cut = 1; cut < octets.length; cut++) {
        const split = await run(cut);
        expect(split.answer).toBe(whole.answer);
        expect(split.request.replace(/\s/g, '')).toBe(whole.request.replace(/\s/g, ''));
      }
    }
    await gateway.close();
    await upstream.close();
  });
});
