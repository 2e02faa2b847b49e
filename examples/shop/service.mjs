// A small HTTP service for the examples: it works for LATENCY_MS, asks NEXT if there is one, and fails as often as it is told.
//
//   PORT                port to listen on (Davy sets it)        HOST         interface, 127.0.0.1 unless set
//   SERVICE, VERSION    what it calls itself in its answers     NEXT         base URL of the service it calls
//   LATENCY_MS          own work per request, +-25 %            FAULT_RATE   share of requests answered 500, 0..1
//   SLOW_RATE, SLOW_MS  share of requests that take SLOW_MS longer
//   BROKEN_HEALTH=1     /q/health answers 503                   SEED         repeats the same random choices
import { Agent, createServer, request } from 'node:http';

const env = process.env;
const service = env.SERVICE ?? env.DAVY_SERVICE ?? 'service';
const version = env.VERSION ?? env.DAVY_VERSION ?? 'v1';
const instance = env.DAVY_INSTANCE ?? `${service}/${version}/${process.pid}`;
const latencyMs = number('LATENCY_MS', 0, 60_000);
const faultRate = number('FAULT_RATE', 0, 1);
const slowRate = number('SLOW_RATE', 0, 1);
const slowMs = number('SLOW_MS', 0, 60_000);
const next = env.NEXT ? new URL(env.NEXT) : null;
const upstreamTimeoutMs = 5_000;
const random = seeded(env.SEED ?? instance);

const agent = new Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 64 });
const durationEdgesS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const requestsByCode = new Map();
const durationCounts = durationEdgesS.map(() => 0);
let durationCount = 0;
let durationSumS = 0;
let inFlight = 0;
let draining = false;

const server = createServer({ keepAliveTimeout: 75_000 }, (req, res) => {
  req.resume();
  const path = req.url?.split('?')[0];
  if (path === '/q/health') return answerHealth(res);
  if (path === '/q/metrics') return answerMetrics(res);
  const startedNs = process.hrtime.bigint();
  inFlight++;
  res.once('close', () => {
    inFlight--;
    count(res.statusCode, Number(process.hrtime.bigint() - startedNs) / 1e9);
  });
  void work(req, res);
});

async function work(req, res) {
  const waitMs = latencyMs * (0.75 + 0.5 * random()) + (random() < slowRate ? slowMs : 0);
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  if (random() < faultRate) return answer(res, 500, { error: 'this version fails on purpose (FAULT_RATE)' });
  if (next === null) return answer(res, 200, { upstream: null });
  try {
    const upstream = await callNext(req);
    // A dependency that failed is a bad gateway to our caller, whatever its own reason was.
    answer(res, upstream.status < 500 ? upstream.status : 502, { upstream: upstream.body });
  } catch (error) {
    answer(res, error.name === 'TimeoutError' ? 504 : 502, { error: `${next.origin}: ${error.message}` });
  }
}

/** Calls NEXT with the caller's path. Trace and canary headers travel on, so that the whole chain sees them. */
async function callNext(req) {
  // Who calls, so that the gateway can tell the callers of a service apart.
  const headers = { accept: 'application/json', 'x-envoy-downstream-service-cluster': env.DAVY_SERVICE ?? service };
  for (const name of ['traceparent', 'tracestate', 'x-canary', 'x-request-id']) {
    if (req.headers[name] !== undefined) headers[name] = req.headers[name];
  }
  try {
    return await callOnce(req.url, headers);
  } catch (error) {
    // The other side may close an idle connection just as it is used again; such a request was not processed.
    if (error.onReusedSocket) return callOnce(req.url, headers);
    throw error;
  }
}

function callOnce(path, headers) {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(upstreamTimeoutMs);
    const call = request(new URL(path, next), { agent, headers, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, body: parsed(text) }));
      response.on('error', reject);
    });
    call.on('error', (error) => {
      if (error.name === 'AbortError') return reject(signal.reason);
      reject(Object.assign(error, { onReusedSocket: call.reusedSocket && error.code === 'ECONNRESET' }));
    });
    call.end();
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text.slice(0, 200);
  }
}

function answer(res, status, more) {
  if (res.destroyed) return;
  const body = `${JSON.stringify({ service, version, instance, ...more })}\n`;
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'x-version': version,
  };
  if (draining) headers.connection = 'close';
  res.writeHead(status, headers).end(body);
}

function answerHealth(res) {
  const ok = !draining && env.BROKEN_HEALTH !== '1';
  answer(res, ok ? 200 : 503, { status: ok ? 'UP' : 'DOWN' });
}

function count(code, seconds) {
  requestsByCode.set(code, (requestsByCode.get(code) ?? 0) + 1);
  durationCount++;
  durationSumS += seconds;
  for (let i = durationEdgesS.length - 1; i >= 0 && seconds <= durationEdgesS[i]; i--) durationCounts[i]++;
}

/** Prometheus text exposition format 0.0.4. */
function answerMetrics(res) {
  const labels = `service="${service}",version="${version}"`;
  const lines = ['# HELP http_requests_total Requests answered.', '# TYPE http_requests_total counter'];
  for (const [code, total] of requestsByCode) lines.push(`http_requests_total{${labels},code="${code}"} ${total}`);
  lines.push('# HELP http_request_duration_seconds Time from request to answer.');
  lines.push('# TYPE http_request_duration_seconds histogram');
  durationEdgesS.forEach((edge, i) => {
    lines.push(`http_request_duration_seconds_bucket{${labels},le="${edge}"} ${durationCounts[i]}`);
  });
  lines.push(`http_request_duration_seconds_bucket{${labels},le="+Inf"} ${durationCount}`);
  lines.push(`http_request_duration_seconds_sum{${labels}} ${durationSumS}`);
  lines.push(`http_request_duration_seconds_count{${labels}} ${durationCount}`);
  lines.push('# HELP http_requests_in_flight Requests being worked on.', '# TYPE http_requests_in_flight gauge');
  lines.push(`http_requests_in_flight{${labels}} ${inFlight}`);
  res.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(`${lines.join('\n')}\n`);
}

/** Finishes what was begun, takes nothing new, and ends. */
function drain() {
  if (draining) return;
  draining = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  // A connection that was busy at that moment becomes idle when its answer is out.
  setInterval(() => server.closeIdleConnections(), 50).unref();
  setTimeout(() => process.exit(0), 9_000).unref();
}

function number(name, min, max) {
  const value = Number(env[name] ?? 0);
  if (value >= min && value <= max) return value;
  console.error(`error: ${name} must be a number from ${min} to ${max}, not "${env[name]}"`);
  process.exit(2);
}

/** mulberry32 over a hash of the text: each instance makes its own choices, the same ones in every run. */
function seeded(text) {
  let state = 2166136261;
  for (const char of text) state = Math.imul(state ^ char.codePointAt(0), 16777619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

process.on('SIGTERM', drain);
process.on('SIGINT', drain);
server.on('error', (error) => {
  console.error(`error: ${error.message}`);
  process.exit(1);
});
server.listen(Number(env.PORT ?? 0), env.HOST ?? '127.0.0.1', () => {
  const { address, port } = server.address();
  console.log(`${instance} listens on http://${address}:${port}`);
});
