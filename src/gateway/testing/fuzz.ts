/**
 * The gateway's fuzzers. Seeded: the same seed gives the same inputs, and a failure names its seed. They run for a short time with the
 * tests and for as long as wanted by `npm run fuzz:gateway`.
 */
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { BodyReader, BY_CHUNKS, BY_LENGTH } from '../http1/body.ts';
import { REQUEST_HEAD_EXTRA, writeRequestHead } from '../http1/forward.ts';
import { DONE, FAULT, Head, MORE, parseRequestHead, parseResponseHead } from '../http1/head.ts';
import {
  answering,
  connectRaw,
  countRequests,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from './harness.ts';
import { smugglingCorpus, TE_VARIANTS } from './smuggling-corpus.ts';

/** mulberry32: small, and good enough to choose mutations. */
export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

const SPICE = [
  '\r\n', '\n', '\r', '\0', ' ', '\t', ':', ',', ';', '\r\n ', '\r\n\r\n', '\x0b', '\x7f', '\xff', '0', '-1', '+1', 'ffffffffffffffff', '%0d%0a', '/', '//', '#', '*',
  'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'Host: a\r\n', 'Content-Length: 5\r\n', 'Content-Length: 0\r\n', 'Connection: close\r\n', 'Connection: Host, X\r\n',
  'Expect: 100-continue\r\n', 'Upgrade: websocket\r\nConnection: upgrade\r\n', 'GET / HTTP/1.1\r\n', ...TE_VARIANTS.map((line) => `${line}\r\n`),
]; // biome-ignore format: a list

const SEEDS = [
  'GET / HTTP/1.1\r\nHost: svc\r\n\r\n',
  'GET http://svc:80/a?b HTTP/1.1\r\nHost: svc\r\nAccept: */*\r\n\r\n',
  'POST /x HTTP/1.1\r\nHost: svc\r\nContent-Length: 5\r\n\r\nhello',
  'POST /x HTTP/1.1\r\nHost: svc\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: u\r\n\r\n',
  'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'HEAD /h HTTP/1.1\r\nHost: [::1]:80\r\nX-A: 1\r\n\r\nGET /2 HTTP/1.1\r\nHost: svc\r\n\r\n',
  'CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\nGET /2 HTTP/1.1\r\nHost: svc\r\n\r\n',
  ...smugglingCorpus().map(({ octets }) => octets),
];

const ANSWERS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nT: u\r\n\r\n',
  'HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nto the end',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nKeep-Alive: timeout=5\r\n\r\n',
  'HTTP/1.1 503 Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close, X-A\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
];

/** One input: a seed with a few insertions, deletions, repetitions, flips and splices. */
export function mutated(dice: Dice, seeds: readonly string[] = SEEDS): Buffer {
  let text = dice.pick(seeds);
  for (let i = dice.below(4); i >= 0; i--) {
    const at = dice.below(text.length + 1);
    const length = dice.below(12);
    switch (dice.below(5)) {
      case 0:
        text = text.slice(0, at) + dice.pick(SPICE) + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at + length);
        break;
      case 2:
        text = text.slice(0, at) + text.slice(at, at + length).repeat(1 + dice.below(3)) + text.slice(at + length);
        break;
      case 3:
        text = text.slice(0, at) + String.fromCharCode(dice.below(256)) + text.slice(at + 1);
        break;
      default:
        text = text.slice(0, at) + dice.pick(seeds).slice(dice.below(40));
    }
  }
  return Buffer.from(text.slice(0, 4096), 'latin1');
}

function check(condition: boolean, what: string, input: Buffer): void {
  if (!condition) throw new Error(`${what}: ${JSON.stringify(input.toString('latin1'))}`);
}

const whole = new Head();
const again = new Head();
const forwarded = new Head({ written: true });

/** The parser alone: no throw, no dependence on splits, and what is forwarded reads as one request with one framing. */
export function fuzzParser(dice: Dice): void {
  const input = mutated(dice);
  const result = parseRequestHead(whole, input, 0, input.length);
  const fault = whole.fault;
  let split: number = MORE;
  for (
    let end = 0;
    split === MORE && end <= input.length;
    end += end === input.length ? 1 : Math.min(1 + dice.below(9), input.length - end)
  ) {
    split = parseRequestHead(again, input, 0, end);
  }
  check(split === result && (result !== FAULT || again.fault === fault), 'the result depends on the split', input);
  if (result === DONE) checkForwarded(input, dice);
  parseResponseHead(again, input, 0, input.length);
  fuzzBody(input, dice);
}

function checkForwarded(input: Buffer, dice: Dice): void {
  parseRequestHead(whole, input, 0, input.length);
  const out = Buffer.alloc(whole.end + REQUEST_HEAD_EXTRA);
  const context = {
    forwarded: Buffer.from('X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: http\r\n'),
    element: Buffer.from('Forwarded: for=1.2.3.4;proto=http\r\n'),
    trusted: dice.below(2) === 0,
    fallbackHost: Buffer.from('svc'),
    webSocket: false,
    byLength: false,
  };
  const length = writeRequestHead(whole, input, out, context);
  const result = parseRequestHead(forwarded, out, 0, length);
  check(result === DONE && forwarded.end === length, 'the forwarded head is not one head', input);
  check(
    forwarded.minor === 1 && !forwarded.absolute && forwarded.hostAt >= 0,
    'the forwarded head is not in our own form',
    input,
  );
  check(
    forwarded.chunked === whole.chunked && forwarded.contentLength === whole.contentLength,
    'the framing changed on the way',
    input,
  );
  check(forwarded.method === whole.method, 'the method changed on the way', input);
}

/** Chunked bodies: the same data and the same verdict for every split. */
function fuzzBody(input: Buffer, dice: Dice): void {
  const start = Math.max(0, input.indexOf('\r\n\r\n') + 4);
  const read = (steps: () => number) => {
    const body = new BodyReader();
    body.begin(dice.below(8) === 0 ? BY_LENGTH : BY_CHUNKS, 5);
    let data = '';
    for (let at = start; at < input.length && !body.done && !body.failed; ) {
      const end = Math.min(input.length, at + steps());
      at = body.feed(input, at, end, { bodyData: (buf, from, to) => (data += buf.toString('latin1', from, to)) });
    }
    return `${body.kind} ${body.done} ${body.failed} ${data}`;
  };
  const first = read(() => input.length);
  const second = read(() => 1 + dice.below(5));
  check(first[0] !== second[0] || first === second, 'the body depends on the split', input);
}

/**
 * What is wrong with the octets that a client got for one request on a connection that then closed; null when it is one final answer
 * behind at most ten interim ones, framed in one way, complete or visibly cut, with nothing behind it. An independent, simple reader.
 */
export function answerProblem(text: string, headOnly: boolean): string | null {
  let rest = text;
  for (let i = 0; i <= 10; i++) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return rest === '' ? null : 'a head without an end';
    const head = rest.slice(0, end + 2);
    rest = rest.slice(end + 4);
    const status = Number(/^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n/.exec(head)?.[1] ?? 0);
    if (status < 100) return 'no status line of ours';
    if (/[^\r]\n|\r[^\n]|\0/.test(head)) return 'a bare CR, LF or NUL in the head';
    if (status >= 200) return bodyProblem(head.toLowerCase(), rest, headOnly || status === 204 || status === 304);
  }
  return 'more than ten interim answers';
}

function bodyProblem(head: string, body: string, bodyless: boolean): string | null {
  const lengths = head.match(/\r\ncontent-length: *\d+\r\n/g) ?? [];
  const isChunked = /\r\ntransfer-encoding: chunked\r\n/.test(head);
  if (lengths.length + (isChunked ? 1 : 0) > 1) return 'framed in two ways';
  if (bodyless) return body === '' ? null : 'octets where no body may be';
  if (isChunked) {
    const { complete, rest } = countRequests(`X / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n${body}`);
    return complete === 1 && rest !== '' ? 'octets behind the last chunk' : null;
  }
  const length = /\d+/.exec(lengths[0] ?? '')?.[0];
  return length !== undefined && body.length > Number(length) ? 'octets behind the answer' : null;
}

/** The gateway on real sockets, between random clients and two upstreams. */
export class WireFuzz {
  private readonly raw: TestUpstream;
  private readonly node: http.Server;
  private readonly byRaw: TestGateway;
  private readonly byNode: TestGateway;
  private saw: string[] = [];

  private constructor(raw: TestUpstream, node: http.Server, byRaw: TestGateway, byNode: TestGateway) {
    this.raw = raw;
    this.node = node;
    this.byRaw = byRaw;
    this.byNode = byNode;
    node.on('request', (request, response) => {
      request.on('error', () => {});
      request.resume().on('end', () => {
        this.saw.push(`${request.method} ${request.url}`);
        response.end('ok');
      });
    });
  }

  static async start(): Promise<WireFuzz> {
    const raw = await startUpstream(answering());
    // Nobody listens there: a CONNECT is checked, tried and refused.
    const connect = { allow: ['127.0.0.1:1'], privateAddresses: false, maxTunnels: 8, connectMs: 500, idleMs: 500 };
    const node = http.createServer({ keepAliveTimeout: 60_000 });
    node.on('clientError', (_error, socket) => socket.destroy());
    node.listen(0, '127.0.0.1');
    await once(node, 'listening');
    const { port } = node.address() as net.AddressInfo;
    return new WireFuzz(
      raw,
      node,
      await startGateway({ stable: [raw], route: { connect } }),
      await startGateway({ stable: [{ ...raw, port }] }),
    );
  }

  /** One mutated answer, in random pieces, to one clean request: the client gets one well-framed answer or a cut one. */
  async answerTurn(dice: Dice): Promise<void> {
    const octets = mutated(dice, ANSWERS);
    const cut = dice.below(octets.length + 1);
    const closes = dice.below(2) === 0;
    for (const { socket } of this.raw.connections.splice(0)) socket.destroy();
    this.raw.script = (connection) => {
      if (connection.answers++ > 0) return;
      connection.socket.write(octets.subarray(0, cut));
      setImmediate(() => {
        connection.socket.write(octets.subarray(cut));
        if (closes) connection.socket.end();
        else setTimeout(() => connection.socket.destroy(), 3);
      });
    };
    const method = dice.pick(['GET', 'HEAD', 'POST']);
    const client = connectRaw(this.byRaw.port);
    client.send(`${method} /clean HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n`);
    const text = await client.closed();
    this.raw.script = answering();
    const problem = answerProblem(text, method === 'HEAD');
    check(problem === null, `${problem}, got ${JSON.stringify(text)} for the answer`, octets);
  }

  /** One input, in random pieces: as many requests arrive, whole and in our framing, as the gateway relayed answers for. */
  async turn(dice: Dice): Promise<void> {
    const input = mutated(dice);
    for (const connection of this.raw.connections) {
      connection.received = '';
      connection.answers = 0;
    }
    this.saw = [];
    const answer = await this.send(this.byRaw, input, dice);
    const relayed = (answer.match(/HTTP\/1\.1 200 /g) ?? []).length;
    const seen = this.raw.connections.map((connection) => countRequests(connection.received));
    const complete = seen.reduce((sum, one) => sum + one.complete, 0);
    // A client that breaks off may miss the answer to a request that was complete.
    check(complete >= relayed && complete <= relayed + 1, `${complete} requests arrived for ${relayed} answers`, input);
    check(seen.filter(({ rest }) => rest !== '').length <= 1, 'more than one broken-off request arrived', input);
    await this.send(this.byNode, input, dice);
    check(
      this.saw.length <= complete + 1,
      `node:http saw ${this.saw.length} requests where the octets have ${complete}`,
      input,
    );
  }

  private async send(gateway: TestGateway, input: Buffer, dice: Dice): Promise<string> {
    const client = connectRaw(gateway.port, { allowHalfOpen: true });
    for (let at = 0; at < input.length; ) {
      const end = Math.min(input.length, at + 1 + dice.below(input.length));
      client.socket.write(input.subarray(at, end));
      at = end;
      if (dice.below(3) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    client.socket.end();
    return client.closed();
  }

  async close(): Promise<void> {
    await this.byRaw.close();
    await this.byNode.close();
    await this.raw.close();
    this.node.closeAllConnections();
    this.node.close();
  }
}
