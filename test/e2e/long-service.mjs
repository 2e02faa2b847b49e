// What a service does whose requests last: streams of events, WebSockets, and, with MODE=hang, requests that are never answered.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const { PORT, VERSION, MODE } = process.env;
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const server = createServer((request, response) => {
  if (request.url === '/q/health') return response.end('ok');
  if (MODE === 'hang') return undefined;
  if (request.url !== '/events') return response.end(VERSION);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(`data: ${VERSION}\n\n`);
  const ending = setTimeout(() => response.end(), 30_000);
  response.on('close', () => clearTimeout(ending));
});

server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${GUID}`).digest('base64');
  socket.on('error', () => {});
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  socket.write(Buffer.concat([Buffer.from([0x81, VERSION.length]), Buffer.from(VERSION)]));
});

server.listen(Number(PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
