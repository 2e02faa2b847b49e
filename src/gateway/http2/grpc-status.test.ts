import http2 from 'node:http2';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import { renderExposition } from '../admin/exposition.ts';
import {
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  type FieldList,
  frame,
  HEADERS,
  startFrameServer,
} from '../testing/h2-frames.ts';
import {
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

async function gatewayTo(parts: RouteParts): Promise<TestGateway> {
  const gateway = await startGateway(parts);
  open.push(() => gateway.close());
  return gateway;
}

/** Where an answer has its fields: in the head alone, or around content. */
interface GrpcAnswer {
  head: FieldList;
  content: string | null;
  trailers: FieldList;
}

/** An instance of HTTP/2 that gives `answer` to every request. */
async function startCallee(): Promise<{ upstream: TestUpstream; answer: GrpcAnswer }> {
  const callee = { answer: { head: [], content: null, trailers: [] } as GrpcAnswer, upstream: {} as TestUpstream };
  const server = await startFrameServer((end, { type, flags, stream }) => {
    if ((type !== HEADERS && type !== DATA) || (flags & END_STREAM) === 0) return;
    const { head, content, trailers } = callee.answer;
    const lines: FieldList = [[':status', '200'], ['content-type', 'application/grpc'], ...head];
    if (content === null) end.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block(lines)));
    else {
      end.send(
        frame(HEADERS, END_HEADERS, stream, block(lines)),
        frame(DATA, trailers.length === 0 ? END_STREAM : 0, stream, Buffer.from(content)),
        ...(trailers.length === 0 ? [] : [frame(HEADERS, END_HEADERS | END_STREAM, stream, block(trailers))]),
      );
    }
  });
  open.push(() => server.close());
  callee.upstream = { port: server.port } as TestUpstream;
  return callee;
}

/** A call with a message; resolves with what its client gets. */
async function callOver(
  gateway: TestGateway,
  type = 'application/grpc',
): Promise<{ status: unknown; trailers: http2.IncomingHttpHeaders; head: http2.IncomingHttpHeaders; content: string }> {
  const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
  open.push(() => session.destroy());
  const stream = session.request({ ':method': 'POST', ':path': '/t.T/Call', 'content-type': type, te: 'trailers' });
  let [head, trailers]: http2.IncomingHttpHeaders[] = [{}, {}];
  stream.on('response', (headers) => {
    head = headers;
  });
  stream.on('trailers', (headers) => {
    trailers = headers;
  });
  stream.on('error', () => {});
  stream.end('message');
  let content = '';
  stream.on('data', (piece) => {
    content += piece;
  });
  await new Promise((resolve) => stream.once('close', resolve));
  session.close();
  return { status: head![':status'], head: head!, trailers: trailers!, content };
}

const outcomeOf = (gateway: TestGateway) => gateway.engine.counters().services[0]!.instances[0]!.outcome;

/** Labels of the `istio_requests_total` series that are above zero, those that say how a request ended. */
function countedAs(gateway: TestGateway): string[] {
  const text = renderExposition(gateway.engine.reports(), []);
  const lines = [...text.matchAll(/^istio_requests_total\{(.*)\} (\d+)$/gm)];
  return lines.map(([, labels, count]) => {
    const of = (name: string) => new RegExp(`[{,]${name}="([^"]*)"`).exec(`{${labels}`)?.[1] ?? '';
    return [
      of('destination_version'),
      of('request_protocol'),
      of('response_code'),
      of('grpc_response_status'),
      of('response_flags'),
      count,
    ].join(' ');
  });
}

/** google.rpc.Code as HTTP status: what a call counts as for the judge. */
const CLASSES = [
  '2xx',
  '4xx',
  '5xx',
  '4xx',
  '5xx',
  '4xx',
  '4xx',
  '4xx',
  '4xx',
  '4xx',
  '4xx',
  '4xx',
  '5xx',
  '5xx',
  '5xx',
  '5xx',
  '4xx',
];
const EVERY_STATUS = CLASSES.map((kind, status) => [status, kind] as const);

describe.each([
  ['trailers', (status: string): GrpcAnswer => ({ head: [], content: 'message', trailers: [['grpc-status', status]] })],
  [
    'trailers, beside a content-length',
    (status: string): GrpcAnswer => ({
      head: [['content-length', '7']],
      content: 'message',
      trailers: [['grpc-status', status]],
    }),
  ],
  [
    'trailers after no content',
    (status: string): GrpcAnswer => ({ head: [], content: '', trailers: [['grpc-status', status]] }),
  ],
  [
    'trailers after a content-length of 0',
    (status: string): GrpcAnswer => ({
      head: [['content-length', '0']],
      content: '',
      trailers: [['grpc-status', status]],
    }),
  ],
  [
    'the head, without content',
    (status: string): GrpcAnswer => ({ head: [['grpc-status', status]], content: null, trailers: [] }),
  ],
  [
    'the head, before content',
    (status: string): GrpcAnswer => ({ head: [['grpc-status', status]], content: 'message', trailers: [] }),
  ],
] as const)('a grpc-status in %s', (_where, answerWith) => {
  it('reaches the client, counts for the version, and shows in the metrics as in a mesh: each of 0 to 16', async () => {
    for (const [status, kind] of EVERY_STATUS) {
      const callee = await startCallee();
      callee.answer = answerWith(String(status));
      const gateway = await gatewayTo({ stable: [callee.upstream], route: { protocol: 'grpc' } });
      const got = await callOver(gateway);
      expect([status, got.status, got.trailers['grpc-status'] ?? got.head['grpc-status']]).toEqual([
        status,
        200,
        String(status),
      ]);
      const length = callee.answer.head.find(([name]) => name === 'content-length')?.[1];
      if (length !== undefined) expect(got.head['content-length']).toBe(length);
      await until(() => outcomeOf(gateway).requests === 1);
      expect(outcomeOf(gateway)).toMatchObject({ [`status${kind}`]: 1 });
      expect(countedAs(gateway)).toEqual([`v1 grpc 200 ${status} - 1`]);
      await gateway.close();
    }
  });

  it('that is none of the list counts as UNKNOWN', async () => {
    for (const odd of ['17', '99', '-1', 'ok', '0x0', '']) {
      const callee = await startCallee();
      callee.answer = answerWith(odd);
      const gateway = await gatewayTo({ stable: [callee.upstream], route: { protocol: 'grpc' } });
      await callOver(gateway);
      await until(() => outcomeOf(gateway).requests === 1);
      expect([odd, outcomeOf(gateway).status5xx, countedAs(gateway)]).toEqual([odd, 1, ['v1 grpc 200 2 - 1']]);
      await gateway.close();
    }
  });
});

describe('a gRPC call that is answered without a status', () => {
  it.each<[string, GrpcAnswer]>([
    ['no content', { head: [], content: null, trailers: [] }],
    ['content', { head: [], content: 'message', trailers: [] }],
    ['content of a length', { head: [['content-length', '7']], content: 'message', trailers: [] }],
    ['other trailers', { head: [], content: 'message', trailers: [['x-a', 'b']] }],
    ['other trailers and a length', { head: [['content-length', '7']], content: 'message', trailers: [['x-a', 'b']] }],
  ])('has failed: %s', async (_what, answer) => {
    const callee = await startCallee();
    callee.answer = answer;
    const gateway = await gatewayTo({ stable: [callee.upstream], route: { protocol: 'grpc' } });
    const got = await callOver(gateway);
    expect(got).toMatchObject({ status: 200, content: answer.content ?? '' });
    await until(() => outcomeOf(gateway).requests === 1);
    expect(outcomeOf(gateway)).toMatchObject({ status2xx: 0, status5xx: 1 });
    expect(countedAs(gateway)).toEqual(['v1 grpc 200 2 - 1']);
  });

  it('has failed over HTTP/1.1 too, whatever the framing to the client', async () => {
    const callee = await startCallee();
    const gateway = await gatewayTo({ stable: [callee.upstream], route: { protocol: 'h2c' } });
    const ask = (version: string) =>
      gateway.exchange(
        `GET / HTTP/${version}\r\nHost: svc\r\nConnection: close\r\nContent-Type: application/grpc\r\n\r\n`,
      );
    callee.answer = { head: [['content-length', '7']], content: 'message', trailers: [['grpc-status', '13']] };
    // HTTP/1.1 has either a length or trailers: of a call the trailers.
    expect(await ask('1.1')).toMatch(
      /\r\nTransfer-Encoding: chunked\r\n[\s\S]*\r\n7\r\nmessage\r\n0\r\ngrpc-status: 13\r\n\r\n$/,
    );
    expect(await ask('1.0')).toMatch(/\r\n\r\nmessage$/);
    callee.answer = { head: [['content-length', '7']], content: 'message', trailers: [] };
    expect(await ask('1.1')).toMatch(/\r\n7\r\nmessage\r\n0\r\n\r\n$/);
    await until(() => outcomeOf(gateway).requests === 3);
    expect(outcomeOf(gateway)).toMatchObject({ status2xx: 0, status5xx: 3 });
    expect(countedAs(gateway).sort()).toEqual(['v1 grpc 200 13 - 2', 'v1 grpc 200 2 - 1']);
  });

  it('but with an HTTP status that is none of success counts as that, and its client takes it for a gRPC status', async () => {
    const gateway = await gatewayTo({ stable: [], route: { protocol: 'grpc' } });
    for (const [i, status] of ['404', '401', '302', '500'].entries()) {
      const server = await startFrameServer((end, { type, flags, stream }) => {
        if (type === DATA && (flags & END_STREAM) !== 0)
          end.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block([[':status', status]])));
      });
      open.push(() => server.close());
      await gateway.apply({ stable: [{ port: server.port } as TestUpstream], route: { protocol: 'grpc' } });
      await callOver(gateway);
      await until(() => outcomeOf(gateway).requests === i + 1);
    }
    expect(outcomeOf(gateway)).toMatchObject({ status4xx: 2, status5xx: 2, status3xx: 0 });
    expect(countedAs(gateway).sort()).toEqual([
      'v1 grpc 302 2 - 1',
      'v1 grpc 401 16 - 1',
      'v1 grpc 404 12 - 1',
      'v1 grpc 500 2 - 1',
    ]);
  });
});

describe('what the gateway answers to a gRPC call', () => {
  it('shows with the status that the client gets, beside the flag', async () => {
    const gateway = await gatewayTo({ stable: [], route: { protocol: 'grpc' } });
    await callOver(gateway);
    expect(countedAs(gateway)).toEqual(['unknown grpc 200 14 UH 1']);
    // A client of HTTP/1.1 gets an answer of HTTP.
    expect(statusOf(await gateway.exchange(get('/', 'Content-Type: application/grpc\r\n')))).toBe(503);
    expect(countedAs(gateway)).toEqual(['unknown grpc 200 14 UH 1', 'unknown grpc 503 14 UH 1']);
  });

  it('for an instance that resets, is UNAVAILABLE and charged; broken off in the middle, it is nothing that succeeded', async () => {
    const server = await startFrameServer((end, { type, stream }) => {
      if (type !== DATA) return;
      if (end.of(stream).length > 1 && stream > 1)
        end.send(
          frame(
            HEADERS,
            END_HEADERS,
            stream,
            block([
              [':status', '200'],
              ['content-type', 'application/grpc'],
            ]),
          ),
          frame(DATA, 0, stream, Buffer.from('a')),
        );
      end.socket.end();
    });
    open.push(() => server.close());
    const gateway = await gatewayTo({ stable: [{ port: server.port } as TestUpstream], route: { protocol: 'grpc' } });
    expect((await callOver(gateway)).head['grpc-status']).toBe('14');
    await until(() => outcomeOf(gateway).requests === 1);
    expect(outcomeOf(gateway)).toMatchObject({ resets: 1 });
    expect(countedAs(gateway)).toEqual(['v1 grpc 200 14 UC 1']);
  });
});

describe('requests that are no gRPC calls', () => {
  it.each([
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/grpc-web-text',
    'application/grpc-web;charset=utf-8',
    'application/grpcx',
    'application/grp',
    'text/plain; application/grpc',
    'application/json',
  ])('%s: goes to an HTTP/1.1 instance, and its answer is its HTTP status', async (type) => {
    const upstream = await startUpstream();
    open.push(() => upstream.close());
    const gateway = await gatewayTo({ stable: [upstream] });
    expect(await callOver(gateway, type)).toMatchObject({ status: 200, content: 'ok' });
    expect(statusOf(await gateway.exchange(get('/', `Content-Type: ${type}\r\n`)))).toBe(200);
    expect(countedAs(gateway)).toEqual(['v1 http 200  - 2']);
  });

  it.each([
    'application/grpc',
    'Application/gRPC',
    'application/grpc+proto',
    'application/grpc;a=b',
    'application/grpc ; a=b',
  ])('%s is one', async (type) => {
    const callee = await startCallee();
    callee.answer = { head: [['grpc-status', '5']], content: null, trailers: [] };
    const gateway = await gatewayTo({ stable: [callee.upstream], route: { protocol: 'grpc' } });
    await callOver(gateway, type);
    await until(() => outcomeOf(gateway).requests === 1);
    expect(countedAs(gateway)).toEqual(['v1 grpc 200 5 - 1']);
  });
});

describe('the other series of a service with both kinds of requests', () => {
  it('have durations by protocol, and callers by status', async () => {
    const callee = await startCallee();
    callee.answer = { head: [['grpc-status', '13']], content: null, trailers: [] };
    const gateway = await gatewayTo({ stable: [callee.upstream], route: { protocol: 'h2c' } });
    for (let i = 0; i < 3; i++) await callOver(gateway);
    await gateway.exchange(get());
    await until(() => outcomeOf(gateway).requests === 4);
    const text = renderExposition(gateway.engine.reports(), []);
    const counts = [
      ...text.matchAll(/^istio_request_duration_milliseconds_count\{.*request_protocol="(\w+)".*\} (\d+)$/gm),
    ];
    expect(counts.map(([, protocol, count]) => [protocol, count])).toEqual([
      ['http', '1'],
      ['grpc', '3'],
    ]);
    const infinite = [
      ...text.matchAll(
        /^istio_request_duration_milliseconds_bucket\{.*request_protocol="(\w+)".*le="\+Inf"\} (\d+)$/gm,
      ),
    ];
    expect(infinite.map(([, protocol, count]) => [protocol, count])).toEqual(
      counts.map(([, protocol, count]) => [protocol, count]),
    );
    expect(text).toMatch(
      /davy_gateway_caller_requests_total\{[^}]*response_code="200",grpc_response_status="13"\} 3\n/,
    );
    expect(text).toMatch(
      /davy_gateway_caller_requests_total\{[^}]*davy_caller="external"[^}]*response_code="200"\} 1\n/,
    );
  });
});
