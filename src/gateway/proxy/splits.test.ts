import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAULT, Head, MORE, parseRequestHead, parseResponseHead } from '../http1/head.ts';
import {
  connectRaw,
  get,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { smugglingCorpus } from '../testing/smuggling-corpus.ts';

describe('every split of every attack', () => {
  it('reads the same at each octet, whatever is known of what follows', () => {
    const whole = new Head();
    const part = new Head();
    for (const { octets } of smugglingCorpus()) {
      const buf = Buffer.from(octets, 'latin1');
      const result = parseRequestHead(whole, buf, 0, buf.length);
      for (let cut = 0; cut < buf.length; cut++) {
        // Its first verdict is its last one: more octets never change a refusal or an acceptance.
        const early = parseRequestHead(part, buf, 0, cut);
        if (early === MORE) continue;
        expect(early).toBe(result);
        if (early === FAULT) expect(part.fault).toBe(whole.fault);
        else expect(part.end).toBe(whole.end);
      }
    }
  });
});

/** What an upstream may answer, and the octets a client gets for it; the Date is left out. */
const answers: [string, string][] = [
  ['by length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello'],
  ['by chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: u\r\n\r\n'],
  ['behind interim ones', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n'],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
  ['of 1.0, by close', 'HTTP/1.0 200 OK\r\n\r\nhello'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'],
  ['a bad chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\nxx\r\n'],
  ['more than its length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
]; // biome-ignore format: a table

describe('every split of an answer', () => {
  let upstream: TestUpstream;
  let gateway: TestGateway;
  beforeAll(async () => {
    upstream = await startUpstream();
    gateway = await startGateway({ stable: [upstream] });
  });
  afterAll(async () => {
    await gateway.close();
    await upstream.close();
  });

  /** The answer cut at one octet; with chunks, what they hold. */
  async function through(octets: string, cut: number): Promise<string> {
    for (const { socket } of upstream.connections.splice(0)) socket.destroy();
    upstream.script = ({ socket }) => {
      socket.write(octets.slice(0, cut));
      setImmediate(() => setImmediate(() => socket.end(octets.slice(cut))));
    };
    const client = connectRaw(gateway.port);
    client.send(get());
    const text = (await client.closed()).replace(/Date: [^\r]+\r\n/g, '');
    if (!text.includes('Transfer-Encoding: chunked')) return text;
    const at = text.indexOf('\r\n\r\n', text.indexOf('chunked')) + 4;
    return text.slice(0, at) + text.slice(at).replace(/[0-9a-f]+\r\n([a-z]+)\r\n/g, '$1');
  }

  it.each(answers)('%s: the client gets the same', async (what, octets) => {
    const whole = await through(octets, octets.length);
    for (let cut = 1; cut < octets.length; cut++) {
      const split = await through(octets, cut);
      // A fault in the middle of a body may come before or after the first octets have gone; never is it hidden.
      if (what === 'a bad chunk size') expect(split).not.toMatch(/0\r\n\r\n$/);
      else expect([cut, split]).toEqual([cut, whole]);
    }
  });

  it('is read the same by the parser alone', () => {
    const whole = new Head();
    const part = new Head();
    for (const [, octets] of answers) {
      const buf = Buffer.from(octets, 'latin1');
      const result = parseResponseHead(whole, buf, 0, buf.length);
      for (let cut = 0; cut < buf.length; cut++) {
        const early = parseResponseHead(part, buf, 0, cut);
        if (early !== MORE) expect(early).toBe(result);
      }
    }
  });
});
