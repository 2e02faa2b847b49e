import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import type { Duplex } from 'node:stream';

/**
 * A service for real clients: a page with its parts, an echo, a slow stream, a large file and a WebSocket. `/stream?asked` sends its next
 * piece when `/next` is asked for: a reader that has seen the one before shows that nobody on the way waits for the end.
 */
export interface Origin {
  port: number;
  /** `METHOD target HTTP/version` of each request, in order. */
  seen: string[];
  close(): void;
}

const STYLE = 'h1 { color: rgb(1, 2, 3); }';
/** One transparent pixel. */
const PIXEL = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');
export const FILE_BYTES = 5_000_000;
export const file = Buffer.alloc(FILE_BYTES, 'the quick brown fox jumps over the lazy dog. ');

export async function startOrigin(page: string): Promise<Origin> {
  const seen: string[] = [];
  const server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url} HTTP/${request.httpVersion}`);
    answer(request, response, page);
  });
  server.on('checkContinue', (request: http.IncomingMessage, response: http.ServerResponse) => {
    seen.push(`${request.method} ${request.url} expects 100-continue`);
    if (request.url === '/refuse') {
      response.writeHead(413, { connection: 'close' }).end('too much\n');
      return;
    }
    response.writeContinue();
    answer(request, response, page);
  });
  server.on('upgrade', (request, socket) => {
    seen.push(`${request.method} ${request.url} upgrade`);
    serveWebSocket(request, socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    seen,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function answer(request: http.IncomingMessage, response: http.ServerResponse, page: string): void {
  const path = request.url?.split('?')[0] ?? '';
  const send = (type: string, body: string | Buffer) =>
    response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
  if (path === '/') send('text/html; charset=utf-8', page);
  else if (path === '/style.css') send('text/css', STYLE);
  else if (path === '/pixel.gif') send('image/gif', PIXEL);
  else if (path === '/file') send('application/octet-stream', file);
  else if (path === '/stream') stream(response, request.url?.endsWith('?asked') ? onceAsked : soon);
  else if (path === '/next') send('text/plain', String(asked.splice(0).map((next) => next()).length));
  else if (path === '/echo') echo(request, response);
  else response.writeHead(404).end();
}

/** Pieces that wait for `/next`. */
const asked: (() => void)[] = [];
const onceAsked = (next: () => void): void => void asked.push(next);
const soon = (next: () => void): void => void setTimeout(next, 20);

/** Five pieces, each in a turn of its own, with a trailer. */
function stream(response: http.ServerResponse, later: (next: () => void) => void): void {
  response.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-sum' });
  let n = 0;
  const next = () => {
    response.write(`piece ${++n}\n`);
    if (n < 5) later(next);
    else {
      response.addTrailers({ 'x-sum': '5' });
      response.end();
    }
  };
  next();
}

/** What the service got, as JSON: its client has it in hand then. */
function echo(request: http.IncomingMessage, response: http.ServerResponse): void {
  const hash = createHash('sha256');
  let bytes = 0;
  request.on('data', (piece: Buffer) => {
    bytes += piece.length;
    hash.update(piece);
  });
  request.on('end', () => {
    const { method, url, httpVersion, headers } = request;
    const body = JSON.stringify({ method, url, httpVersion, headers, bytes, sha256: hash.digest('hex') });
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  });
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const OP_TEXT = 1;
const OP_CLOSE = 8;

/** RFC 6455, as far as short text frames and the closing handshake go: each text comes back in capitals. */
function serveWebSocket(request: http.IncomingMessage, socket: Duplex): void {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${GUID}`).digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  let octets = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (piece: Buffer) => {
    octets = Buffer.concat([octets, piece]);
    for (;;) {
      const length = (octets[1] ?? 0) & 127;
      if (octets.length < 6 + length) return;
      const opcode = (octets[0] as number) & 15;
      const mask = octets.subarray(2, 6);
      const data = octets.subarray(6, 6 + length).map((octet, i) => octet ^ (mask[i % 4] as number));
      octets = octets.subarray(6 + length);
      const reply = opcode === OP_TEXT ? Buffer.from(Buffer.from(data).toString().toUpperCase()) : Buffer.from(data);
      socket.write(Buffer.concat([Buffer.from([128 | opcode, reply.length]), reply]));
      if (opcode === OP_CLOSE) socket.end();
    }
  });
}
