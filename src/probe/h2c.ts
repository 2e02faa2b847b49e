import http2 from 'node:http2';
import net from 'node:net';
import { formatAuthority } from '../lib/authority.ts';
import type { ProbeResult, ProbeTarget } from './probe.ts';
import { failed, judgeStatus, silence, USER_AGENT } from './words.ts';

/** Of Node.js: nghttp2 finds fault with what came. */
const NO_HTTP2 = 'ERR_HTTP2_ERROR';
/** Octets of content that are kept; a longer answer is cut there. */
const MAX_CONTENT_BYTES = 4096;

/** One answer over HTTP/2, with the fields of its head and its trailers. */
export interface H2Answer {
  status: number;
  head: http2.IncomingHttpHeaders;
  trailers: http2.IncomingHttpHeaders;
  content: Buffer;
}

/** GET over cleartext HTTP/2 with prior knowledge (RFC 9113 section 3.3). */
export async function askH2c(target: ProbeTarget, path: string, signal: AbortSignal): Promise<ProbeResult> {
  const answer = await callOnce(target, { ':method': 'GET', ':path': path }, null, signal);
  return 'ok' in answer ? answer : judgeStatus(answer.status, path);
}

/**
 * One request on a connection of its own: with content to the end of its answer, without to the head; what went wrong when there is none.
 */
export function callOnce(
  target: ProbeTarget,
  fields: http2.OutgoingHttpHeaders & { ':path': string; ':method': string },
  content: Buffer | null,
  signal: AbortSignal,
): Promise<H2Answer | ProbeResult> {
  const what = `${fields[':method']} ${fields[':path']}`;
  return new Promise((resolve) => {
    const { host, port } = target;
    const socket = net.connect({ ...host.connectOptions, port });
    let session: http2.ClientHttp2Session | null = null;
    const end = (result: H2Answer | ProbeResult): void => {
      signal.removeEventListener('abort', onAbort);
      session?.destroy();
      socket.destroy();
      resolve(result);
    };
    const fail = (error: Error & { code?: string }): void => end(noAnswer(error, what, target.timeoutMs));
    const onAbort = (): void => fail(signal.reason as Error);
    signal.addEventListener('abort', onAbort);
    socket.on('error', fail);
    socket.once('connect', () => {
      host.reached(socket.remoteAddress);
      // The URL is for its scheme only: an address with a zone makes none.
      session = http2.connect('http://localhost', { createConnection: () => socket, settings: { enablePush: false } });
      session.on('error', fail);
      session.on('close', () => fail(new Error('the connection was closed')));
      const own = {
        ':scheme': 'http',
        ':authority': formatAuthority({ host: host.host, port }),
        'user-agent': USER_AGENT,
      };
      const stream = session.request({ ...own, ...fields });
      collect(stream, content === null, end);
      stream.on('error', (error: Error & { code?: string }) => {
        if (error.code === NO_HTTP2) fail(error);
      });
      // A broken connection ends the stream too, and its own event says more.
      const reset = () => end(failed(`${what} was reset with error code ${stream.rstCode}`, true));
      stream.on('close', () => setImmediate(reset));
      stream.end(content ?? undefined);
    });
    if (signal.aborted) onAbort();
  });
}

function collect(stream: http2.ClientHttp2Stream, headOnly: boolean, end: (answer: H2Answer) => void): void {
  const answer: H2Answer = { status: 0, head: {}, trailers: {}, content: Buffer.alloc(0) };
  stream.on('response', (head) => {
    answer.status = head[':status'] ?? 0;
    answer.head = head;
    if (headOnly) end(answer);
  });
  stream.on('trailers', (trailers) => {
    answer.trailers = trailers;
  });
  stream.on('data', (piece: Buffer) => {
    if (answer.content.length < MAX_CONTENT_BYTES) answer.content = Buffer.concat([answer.content, piece]);
  });
  stream.on('end', () => {
    if (answer.status > 0) end(answer);
  });
}

function noAnswer(error: Error & { code?: string }, what: string, timeoutMs: number): ProbeResult {
  return error.code === NO_HTTP2 ? failed(FOREIGN, true) : silence(error, what, timeoutMs);
}

const FOREIGN =
  'what listens on its port does not speak cleartext HTTP/2 (`traffic.protocol` says what the instances speak)';
