import http2 from 'node:http2';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import {
  block,
  connectFrames,
  DATA,
  END_HEADERS,
  END_STREAM,
  type FieldList,
  frame,
  HEADERS,
  requestHead,
  startFrameServer,
} from '../testing/h2-frames.ts';
import { startH2cUpstream } from '../testing/h2c-upstream.ts';
import {
  answering,
  get,
  type RouteParts,
  startGateway,
  startUpstream,
  statusOf,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

const open = closedAfterEach();

/** Fields that node:http2 takes once only, unless told otherwise. */
const SINGLE = [
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
];
/** Fields of an HTTP/1.1 connection, which HTTP/2 does not carry. */
const CONNECTION = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
];
/** Names that a plain object has already, names that node:http2 treats apart, and ordinary ones. */
const OTHER = [
  '__proto__',
  'constructor',
  'hasownproperty',
  'tostring',
  'valueof',
  'set-cookie',
  'cookie',
  'via',
  'grpc-status',
  '1',
  'x-a',
];
const NAMES = [...SINGLE, ...CONNECTION, ...OTHER];

/** Nothing but HTTP/2's own rules says what becomes of these: both arrive, in every place. */
const FREE = ['etag', 'user-agent', 'referer', 'grpc-status', '1', 'x-a', ...OTHER.slice(0, 5)];
/** RFC 9113 sections 8.1.1, 8.2.2 and 8.3.1: a message with one of these, so given, is malformed. */
const MALFORMED = [...CONNECTION, 'content-length', 'host'];

type Place = 'interim head' | 'head' | 'trailer';
const PLACES: Place[] = ['interim head', 'head', 'trailer'];
const TWICE = (name: string): FieldList => [
  [name, 'v1'],
  [name, 'v2'],
];
const lines = (fields: FieldList) => fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
const valuesOf = (raw: readonly string[], name: string) => raw.filter((_, i) => i % 2 === 1 && raw[i - 1] === name);

/** A field that stands twice arrives twice, or not at all where the gateway drops it for its meaning; never once, never as something else. */
function expectBothOrNone(name: string, values: readonly string[]): void {
  const ours = values.filter((value) => !['1.1 davy', 'trailers'].includes(value));
  const got = name === 'cookie' ? ours.flatMap((value) => value.split('; ')) : ours;
  if (FREE.includes(name)) expect([name, got]).toEqual([name, ['v1', 'v2']]);
  else expect([[], ['v1', 'v2']]).toContainEqual(got);
}

async function gatewayTo(parts: RouteParts): Promise<TestGateway> {
  const gateway = await startGateway(parts);
  open.push(() => gateway.close());
  return gateway;
}

async function http1(): Promise<TestUpstream> {
  const upstream = await startUpstream();
  open.push(() => upstream.close());
  return upstream;
}

const CERTIFICATES = join(import.meta.dirname, '../testing/certificates');
const TLS = {
  certificates: [
    { names: ['one.test'], certFile: join(CERTIFICATES, 'one.pem'), keyFile: join(CERTIFICATES, 'one.key') },
  ],
};

function connect(gateway: TestGateway, overTls = false): http2.ClientHttp2Session {
  const options = { rejectUnauthorized: false, servername: 'one.test' };
  const session = overTls
    ? http2.connect(`https://127.0.0.1:${gateway.port}`, options)
    : http2.connect(`http://127.0.0.1:${gateway.port}`);
  open.push(() => session.destroy());
  return session;
}

/** What came of a request; the fields of each place as they came. */
interface Answered extends Record<Place, string[]> {
  /** 0: none came. */
  status: number;
  /** Ended without a reset. */
  whole: boolean;
}

/** One request over HTTP/2 to the end of its stream, whatever that is. */
async function ask(session: http2.ClientHttp2Session): Promise<Answered> {
  const answered: Answered = { status: 0, whole: false, 'interim head': [], head: [], trailer: [] };
  const stream = session.request({ ':path': '/' });
  stream.on('error', () => {});
  stream.on('headers', (_headers, _flags, raw) => answered['interim head'].push(...raw));
  stream.on('response', (headers, _flags, raw) => {
    answered.status = headers[':status'] ?? 0;
    answered.head = raw;
  });
  stream.on('trailers', (_headers, _flags, raw) => {
    answered.trailer = raw;
  });
  stream.resume();
  await new Promise((resolve) => stream.once('close', resolve));
  answered.whole = stream.rstCode === 0;
  return answered;
}

/** An HTTP/1.1 answer with `fields` in one place. */
function answerWith(place: Place, fields: FieldList): string {
  if (place === 'interim head')
    return `HTTP/1.1 103 Early Hints\r\n${lines(fields)}\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`;
  if (place === 'head') return `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${lines(fields)}\r\nok`;
  return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${lines(fields)}\r\n`;
}

describe.each(['cleartext', 'TLS'] as const)(
  'an HTTP/1.1 instance that sends a field twice, to a client of HTTP/2 over %s',
  (over) => {
    it.each(PLACES)('in the %s, ends at most that stream', async (place) => {
      const upstream = await http1();
      const gateway = await gatewayTo({ stable: [upstream], ...(over === 'TLS' ? { route: { tls: TLS } } : {}) });
      const session = connect(gateway, over === 'TLS');
      for (const name of NAMES) {
        upstream.script = answering(answerWith(place, TWICE(name)));
        const answered = await ask(session);
        // A length or a coding given twice is no HTTP/1.1 (RFC 9112 section 6.3).
        const malformed = place !== 'trailer' && ['content-length', 'transfer-encoding'].includes(name);
        expect([name, answered.status]).toEqual([name, malformed ? 502 : 200]);
        if (!malformed) expectBothOrNone(name, valuesOf(answered[place], name));
      }
      upstream.script = answering();
      expect((await ask(session)).status).toBe(200);
      expect(session.destroyed).toBe(false);
    });
  },
);

describe('a client of HTTP/1.1 that sends a field twice to an instance of HTTP/2', () => {
  async function start(): Promise<{ gateway: TestGateway; heads: string[][]; trailers: string[][] }> {
    const heads: string[][] = [];
    const trailers: string[][] = [];
    const upstream = await startH2cUpstream((stream, _headers, raw) => {
      heads.push([...raw]);
      stream.on('trailers', (_trailers, _flags, rawTrailers) => trailers.push(rawTrailers));
      stream.resume();
      stream.on('end', () => {
        stream.respond({ ':status': 200 });
        stream.end('ok');
      });
    });
    open.push(() => upstream.close());
    const gateway = await gatewayTo({ stable: [upstream as unknown as TestUpstream], route: { protocol: 'h2c' } });
    return { gateway, heads, trailers };
  }

  it('in a head, ends at most that request', async () => {
    const { gateway, heads } = await start();
    for (const name of NAMES) {
      heads.length = 0;
      const status = statusOf(await gateway.exchange(get('/', lines(TWICE(name)))));
      if (status === 200) expectBothOrNone(name, valuesOf(heads[0]!, name));
      // RFC 9112 sections 3.2, 6.1 and 6.3.
      else expect(['host', 'content-length', 'transfer-encoding']).toContain(name);
    }
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
  });

  it('in a trailer, ends at most that request', async () => {
    const { gateway, trailers } = await start();
    const post =
      'POST / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n';
    for (const name of NAMES) {
      trailers.length = 0;
      expect([name, statusOf(await gateway.exchange(`${post}${lines(TWICE(name))}\r\n`))]).toEqual([name, 200]);
      expectBothOrNone(name, valuesOf(trailers[0] ?? [], name));
    }
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
  });

  it('and calls itself gRPC, is served: the smallest request that ended a gateway', async () => {
    const { gateway } = await start();
    const text = 'Content-Type: application/grpc\r\nUser-Agent: a\r\nUser-Agent: b\r\n';
    expect(statusOf(await gateway.exchange(get('/', text)))).toBe(200);
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
  });
});

describe('a client of HTTP/2 that sends a field twice', () => {
  it.each(['head', 'trailer'] as const)('in the %s, ends at most that stream', async (place) => {
    const upstream = await http1();
    const gateway = await gatewayTo({ stable: [upstream] });
    const client = await connectFrames(gateway.port);
    open.push(() => client.socket.destroy());
    const sent = (id: number, name: string) =>
      place === 'head'
        ? [requestHead(id, TWICE(name))]
        : [
            requestHead(id, [[':method', 'POST']], END_HEADERS),
            frame(DATA, 0, id, Buffer.from('a')),
            frame(HEADERS, END_STREAM | END_HEADERS, id, block(TWICE(name))),
          ];
    for (const [i, name] of NAMES.entries()) {
      const id = 2 * i + 1;
      const before = upstream.received().length;
      client.send(...sent(id, name));
      await until(() => client.isOver(id) || client.closed);
      expect([name, client.closed]).toEqual([name, false]);
      if (client.resetCode(id) !== undefined) expect(MALFORMED).toContain(name);
      else if (client.content(id) === 'ok') expectBothOrNone(name, linesNamed(upstream.received().slice(before), name));
    }
    const last = 2 * NAMES.length + 1;
    client.send(requestHead(last));
    await until(() => client.isOver(last) || client.closed);
    expect(client.content(last)).toBe('ok');
  });
});

/** Values of the lines of that name. */
function linesNamed(text: string, name: string): string[] {
  const all = text.split('\r\n').filter((line) => line.startsWith(`${name}: v`));
  return all.map((line) => line.slice(name.length + 2));
}

describe('an instance of HTTP/2 that sends a field twice', () => {
  /** Answers each request with what `use` was given last, in one place. */
  async function start(place: Place): Promise<{ gateway: TestGateway; use: (fields: FieldList) => void }> {
    let fields: FieldList = [];
    const server = await startFrameServer((end, { type, flags, stream }) => {
      if ((type !== HEADERS && type !== DATA) || (flags & END_STREAM) === 0) return;
      const at = (where: Place) => (where === place ? fields : []);
      if (place === 'interim head')
        end.send(frame(HEADERS, END_HEADERS, stream, block([[':status', '103'], ...fields])));
      end.send(
        frame(HEADERS, END_HEADERS, stream, block([[':status', '200'], ...at('head')])),
        frame(DATA, place === 'trailer' ? 0 : END_STREAM, stream, Buffer.from('ok')),
      );
      if (place === 'trailer') end.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block(fields)));
    });
    open.push(() => server.close());
    const gateway = await gatewayTo({ stable: [{ port: server.port } as TestUpstream], route: { protocol: 'h2c' } });
    const use = (next: FieldList) => {
      fields = next;
    };
    return { gateway, use };
  }

  it.each(PLACES)('in the %s, ends at most that answer to a client of HTTP/1.1', async (place) => {
    const { gateway, use } = await start(place);
    for (const name of NAMES) {
      use(TWICE(name));
      const answer = await gateway.exchange(get());
      if (/^HTTP\/1\.1 (103|200) .*\r\n0\r\n/s.test(answer)) expectBothOrNone(name, linesNamed(answer, name));
      else expect(MALFORMED).toContain(name);
    }
    use([['x-a', 'v1']]);
    expect(await gateway.exchange(get())).toMatch(/\r\nok\r\n/);
  });

  it.each(PLACES)('in the %s, ends at most that answer to a client of HTTP/2', async (place) => {
    const { gateway, use } = await start(place);
    const session = connect(gateway);
    for (const name of NAMES) {
      use(TWICE(name));
      const answered = await ask(session);
      if (answered.whole && answered.status === 200) expectBothOrNone(name, valuesOf(answered[place], name));
      else expect(MALFORMED).toContain(name);
    }
    use([['x-a', 'v1']]);
    expect(await ask(session)).toMatchObject({ status: 200, whole: true });
    expect(session.destroyed).toBe(false);
  });
});
