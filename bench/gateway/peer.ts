/** One npm peer as a process: `node peer.ts NAME PORT BACKEND`. Each forwards and nothing else, set up as its documentation says. */
import http from 'node:http';
import { createRequire } from 'node:module';
import { Pool } from 'undici';

const [, , name = '', port = '', backend = ''] = process.argv;
const target = `http://127.0.0.1:${backend}`;
const require = createRequire(import.meta.url);

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** node:http in front of undici's lowest-level call, tuned by hand. */
function undiciDispatch(): Handler {
  const pool = new Pool(target, { connections: 128, pipelining: 1 });
  return (request, response) => {
    pool.dispatch(
      {
        path: request.url ?? '/',
        method: (request.method ?? 'GET') as 'GET',
        headers: request.headers,
        body: request.headers['content-length'] ? request : null,
      },
      {
        onRequestStart(controller) {
          // Registered before anything can be written: a client that vanishes must not leave its connection paused for ever.
          response.on('close', () => {
            if (!response.writableFinished) controller.abort(new Error('client left'));
          });
          response.on('drain', () => controller.resume());
        },
        onResponseStart(_controller, status, headers) {
          response.writeHead(status, headers);
        },
        onResponseData(controller, chunk) {
          if (!response.write(chunk)) controller.pause();
        },
        onResponseEnd() {
          response.end();
        },
        onResponseError() {
          response.destroy();
        },
      },
    );
  };
}

function httpAgent(): Handler {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 128 });
  return (request, response) => {
    const forwarded = http.request(
      { host: '127.0.0.1', port: backend, path: request.url, method: request.method, headers: request.headers, agent },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    forwarded.on('error', () => response.destroy());
    request.pipe(forwarded);
  };
}

function fromPackage(): Handler {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 128 });
  if (name === 'fast-proxy') {
    const { proxy } = require('fast-proxy')({ base: target, undici: { connections: 128, pipelining: 1 } });
    return (request, response) => proxy(request, response, request.url, {});
  }
  const module = name === 'http-proxy' ? require('http-proxy') : require('http-proxy-3');
  const proxy =
    (module.default ?? module).createProxyServer?.({ target, agent }) ?? module.createProxyServer({ target, agent });
  proxy.on('error', () => {});
  return (request, response) => proxy.web(request, response);
}

const handlers: Record<string, () => Handler> = { 'undici.dispatch': undiciDispatch, 'http.Agent': httpAgent };
const server = http.createServer({ keepAliveTimeout: 3_600_000 }, (handlers[name] ?? fromPackage)());
server.listen(Number(port), '127.0.0.1');
