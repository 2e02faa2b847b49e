import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import {
  block,
  connectFrames,
  DATA,
  END_HEADERS,
  END_STREAM,
  type FieldList,
  type FrameEnd,
  frame,
  HEADERS,
  indexed,
  requestHead,
  startFrameServer,
} from '../testing/h2-frames.ts';
import {
  countRequests,
  get,
  startGateway,
  startUpstream,
  statusOf,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

const open = closedAfterEach();
const PROTOCOL_ERROR = 1;

async function start(): Promise<{ gateway: TestGateway; upstream: TestUpstream; client: FrameEnd }> {
  const upstream = await startUpstream();
  const gateway = await startGateway({ stable: [upstream] });
  open.push(
    () => upstream.close(),
    () => gateway.close(),
  );
  return { gateway, upstream, client: await connect(gateway) };
}

async function connect(gateway: TestGateway): Promise<FrameEnd> {
  const client = await connectFrames(gateway.port);
  open.push(() => client.socket.destroy());
  return client;
}

const ownOf = (gateway: TestGateway) => gateway.engine.counters().services[0]!.own;
const over = (client: FrameEnd, stream: number) => until(() => client.isOver(stream) || client.closed);
const fields = (name: string, value: string): FieldList => [[name, value]];

/** A trailer of a request with a little content. */
const withTrailer = (stream: number, trailer: FieldList) => [
  requestHead(stream, [[':method', 'POST']], END_HEADERS),
  frame(DATA, 0, stream, Buffer.from('a')),
  frame(HEADERS, END_STREAM | END_HEADERS, stream, block(trailer)),
];

/** Every octet in front of, within and behind a name and a value. */
const ODD_FIELDS: [string, string][] = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet)).flatMap(
  (octet): [string, string][] => [
    [`${octet}x-odd`, 'value'],
    [`x-${octet}-odd`, 'value'],
    [`x-odd${octet}`, 'value'],
    ['x-odd', `${octet}value`],
    ['x-odd', `val${octet}ue`],
    ['x-odd', `value${octet}`],
  ],
);
/** A few of the above, for the places that cost more. */
const SOME_ODD_FIELDS = ODD_FIELDS.filter(([name, value]) =>
  /[\0\t\n\r :A\x7f\xff,]/.test(name.replace('x-odd', '') + value),
);

describe('a field of a request', () => {
  it.each(['head', 'trailer'] as const)(
    'in the %s arrives as it was sent, or its request is refused: every octet, in every position',
    async (place) => {
      const { gateway, upstream } = await start();
      let [served, refused] = [0, 0];
      let client: FrameEnd | null = null;
      for (const [i, [name, value]] of (place === 'head' ? ODD_FIELDS : SOME_ODD_FIELDS).entries()) {
        // node:http2 ends a connection after a thousand streams that it has reset itself.
        if (i % 400 === 0) client = await connect(gateway);
        const end = client!;
        const stream = 2 * (i % 400) + 1;
        const before = upstream.received().length;
        if (place === 'head') end.send(requestHead(stream, [['x-first', '1'], ...fields(name, value)]));
        else end.send(...withTrailer(stream, fields(name, value)));
        await over(end, stream);
        expect(end.closed).toBe(false);
        if (end.resetCode(stream) === undefined) {
          served++;
          expect(end.content(stream)).toBe('ok');
          expect(upstream.received().slice(before)).toContain(`\r\n${name}: ${value}\r\n`);
        } else {
          refused++;
          expect(end.resetCode(stream)).toBe(PROTOCOL_ERROR);
          expect(upstream.received().slice(before)).not.toMatch(/odd/);
        }
      }
      expect(served).toBeGreaterThan(place === 'head' ? 600 : 10);
      expect(refused).toBeGreaterThan(place === 'head' ? 300 : 10);
    },
  );

  it('that is malformed is so in any form that HPACK has for it, by index too', async () => {
    const { upstream, client } = await start();
    client.send(
      frame(
        HEADERS,
        END_STREAM | END_HEADERS,
        1,
        Buffer.concat([requestHead(1).subarray(9), indexed('x-odd', 'a\r\nb: c')]),
      ),
    );
    await over(client, 1);
    // The newest entry of the table.
    client.send(
      frame(HEADERS, END_STREAM | END_HEADERS, 3, Buffer.concat([requestHead(3).subarray(9), Buffer.from([0xbe])])),
    );
    await over(client, 3);
    expect([client.resetCode(1), client.resetCode(3)]).toEqual([PROTOCOL_ERROR, PROTOCOL_ERROR]);
    expect(upstream.received()).toBe('');
    client.send(requestHead(5));
    await over(client, 5);
    expect(client.content(5)).toBe('ok');
  });

  it('that a client of node:http2 sends malformed is refused, and counted as a bad request', async () => {
    const { gateway, upstream } = await start();
    const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
    open.push(() => session.destroy());
    const values = ['b\r\nx-c: d', 'b\nc', ' b', 'b\t', 'b\x7f', 'a long one that is worth its Huffman code\r'];
    for (const value of values) {
      const stream = session.request({ ':path': '/', 'x-a': value });
      await expect(once(stream, 'response')).rejects.toMatchObject({ message: /PROTOCOL_ERROR/ });
    }
    expect(upstream.received()).toBe('');
    expect(ownOf(gateway).badRequest).toBe(values.length);
  });
});

describe('what a request says of its target', () => {
  const evil = 'evil.example';
  it.each<[string, FieldList]>([
    ['another scheme', [[':scheme', 'foo']]],
    [
      'a path of another authority',
      [
        [':scheme', 'foo'],
        [':path', `http://${evil}/x`],
      ],
    ],
    ['the same under http', [[':path', `http://${evil}/x`]]],
    ['a path without a slash', [[':path', evil]]],
    [
      'two slashes less than an authority',
      [
        [':scheme', 'foo'],
        [':path', `${evil}/x`],
      ],
    ],
    ['an asterisk of GET', [[':path', '*']]],
    ['a scheme with an authority', [[':scheme', `http://${evil}/?`]]],
    ['another host', [['host', evil]]],
  ])('%s is refused', async (_what, pseudo) => {
    const { upstream, client } = await start();
    client.send(requestHead(1, pseudo));
    await over(client, 1);
    expect(client.resetCode(1)).toBe(PROTOCOL_ERROR);
    expect(upstream.received()).toBe('');
  });

  it.each<[string, FieldList, RegExp]>([
    ['the same host, in other letters', [['host', 'SVC']], /^GET \/ HTTP\/1\.1\r\nHost: svc\r\n/],
    [
      'an asterisk of OPTIONS',
      [
        [':method', 'OPTIONS'],
        [':path', '*'],
      ],
      /^OPTIONS \* /,
    ],
    ['https, behind a proxy that ends TLS', [[':scheme', 'https']], /^GET \/ /],
    ['two slashes', [[':path', `//${evil}/x`]], /^GET \/\/evil\.example\/x HTTP\/1\.1\r\nHost: svc\r\n/],
  ])('%s is served', async (_what, pseudo, forwarded) => {
    const { upstream, client } = await start();
    client.send(requestHead(1, pseudo));
    await over(client, 1);
    expect(client.content(1)).toBe('ok');
    expect(upstream.received()).toMatch(forwarded);
  });
});

describe('a content-length that is not the length', () => {
  const head = (stream: number, length: string) =>
    requestHead(
      stream,
      [
        [':method', 'POST'],
        ['content-length', length],
      ],
      END_HEADERS,
    );

  it('in one piece: nothing of the request is begun', async () => {
    const { upstream, client } = await start();
    client.send(head(1, '5'), frame(DATA, END_STREAM, 1, Buffer.from('abc')));
    await over(client, 1);
    expect(client.resetCode(1)).toBe(PROTOCOL_ERROR);
    expect(upstream.received()).toBe('');
  });

  it.each([
    ['5', 'abc'],
    ['3', 'abcde'],
  ])('%s of %s: a request that was begun is broken off, and says where it came from', async (length, content) => {
    const { upstream, client } = await start();
    client.send(head(1, length));
    await until(() => upstream.received() !== '');
    const gone = once(upstream.connections[0]!.socket, 'close');
    client.send(frame(DATA, END_STREAM, 1, Buffer.from(content)));
    // nghttp2 ends the whole connection when there is too much.
    await over(client, 1);
    await gone;
    expect(upstream.received()).toContain('X-Forwarded-For: 127.0.0.1\r\n');
    expect(countRequests(upstream.received()).complete).toBe(0);
  });
});

describe('a field of an answer', () => {
  it.each(['interim head', 'head', 'trailer'] as const)(
    'in the %s arrives as it was sent, or the instance is charged with no HTTP',
    async (place) => {
      let sent: FieldList = [];
      const server = await startFrameServer((end, { type, stream }) => {
        if (type !== HEADERS) return;
        const at = (where: string, status: string): FieldList => [
          [':status', status],
          ...(where === place ? sent : []),
        ];
        end.send(
          ...(place === 'interim head' ? [frame(HEADERS, END_HEADERS, stream, block(at('interim head', '103')))] : []),
          frame(HEADERS, END_HEADERS, stream, block(at('head', '200'))),
          frame(DATA, place === 'trailer' ? 0 : END_STREAM, stream, Buffer.from('ok')),
          ...(place === 'trailer' ? [frame(HEADERS, END_HEADERS | END_STREAM, stream, block(sent))] : []),
        );
      });
      open.push(() => server.close());
      const gateway = await startGateway({
        stable: [{ port: server.port } as TestUpstream],
        route: { protocol: 'h2c' },
      });
      open.push(() => gateway.close());
      let refused = 0;
      for (const [name, value] of SOME_ODD_FIELDS) {
        sent = fields(name, value);
        const answer = await gateway.exchange(get());
        if (/\r\n0\r\n([^\r]*\r\n)?\r\n$/.test(answer)) {
          expect(answer).toContain(`\r\n${name}: ${value}\r\n`);
        } else {
          refused++;
          expect(answer).not.toMatch(/odd/);
          if (place === 'head') expect(statusOf(answer)).toBe(502);
        }
      }
      expect(refused).toBeGreaterThan(10);
      expect(gateway.engine.counters().services[0]!.instances[0]!.outcome.resets).toBe(refused);
      sent = [];
      expect(await gateway.exchange(get())).toMatch(/\r\nok\r\n0\r\n\r\n$/);
    },
  );
});
