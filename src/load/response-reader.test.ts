import { expect, test } from 'vitest';
import { type Answer, ResponseReader } from './response-reader.ts';

interface Case {
  name: string;
  bytes: string;
  answers: Partial<Answer>[];
  /** The connection's end completes the last answer. */
  endCompletes?: boolean;
  noBody?: boolean;
}

const cases: Case[] = [
  {
    name: 'content-length',
    bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
    answers: [{ status: 200, body: 'hello', keepAlive: true }],
  },
  {
    name: 'two in a row, the second without a body',
    bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 204 No Content\r\n\r\n',
    answers: [
      { status: 200, body: 'ok' },
      { status: 204, body: '' },
    ],
  },
  {
    name: 'chunked with an extension and a trailer',
    bytes: 'HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n6\r\n world\r\n0\r\nA: b\r\n\r\n',
    answers: [{ status: 500, body: 'hello world' }],
  },
  {
    name: 'connection: close',
    bytes: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
    answers: [{ status: 200, keepAlive: false }],
  },
  {
    name: 'interim answers are skipped',
    bytes: 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na',
    answers: [{ status: 200, body: 'a' }],
  },
  {
    name: 'a body until the end of the connection',
    bytes: 'HTTP/1.1 200 OK\r\n\r\nall of it',
    answers: [{ status: 200, body: 'all of it', keepAlive: false }],
    endCompletes: true,
  },
  {
    name: 'HEAD',
    bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n',
    answers: [{ status: 200, body: '' }],
    noBody: true,
  },
];

function read(pieces: Buffer[], noBody = false): { answers: Answer[]; completedByEnd: boolean } {
  const answers: Answer[] = [];
  const reader = new ResponseReader((answer) => answers.push(answer));
  reader.keepBody = true;
  reader.expectNoBody = noBody;
  const shared = Buffer.alloc(64 * 1024);
  // As in use: every piece arrives in the same memory, in front of what came before.
  for (const piece of pieces) reader.push(shared, piece.copy(shared));
  return { answers, completedByEnd: reader.end() };
}

test.each(cases)('$name: the same however the bytes are cut', ({ bytes, answers, endCompletes = false, noBody }) => {
  const data = Buffer.from(bytes, 'latin1');
  const cuts = [[data], Array.from(data, (byte) => Buffer.from([byte]))];
  for (let at = 1; at < data.length; at++) cuts.push([data.subarray(0, at), data.subarray(at)]);
  for (const pieces of cuts) {
    const result = read(pieces, noBody);
    expect(result.completedByEnd).toBe(endCompletes);
    expect(result.answers).toHaveLength(answers.length);
    expect(result.answers).toMatchObject(answers);
  }
});

test.each([
  ['not HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ['bad chunk size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n'],
  ['an endless head', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(70_000)}`],
])('%s is refused', (_, bytes) => {
  const reader = new ResponseReader(() => {});
  expect(() => reader.push(Buffer.from(bytes))).toThrow();
});

test('begun tells an answer under way from silence', () => {
  const reader = new ResponseReader(() => {});
  expect(reader.begun).toBe(false);
  reader.push(Buffer.from('HTTP/1.1 2'));
  expect(reader.begun).toBe(true);
});
