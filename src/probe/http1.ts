import { request } from 'node:http';
import type { ProbeResult, ProbeTarget } from './probe.ts';
import { failed, judgeStatus, silence, USER_AGENT } from './words.ts';

/** GET over HTTP/1.1; the head of the answer decides. */
export function askHttp1(target: ProbeTarget, path: string, signal: AbortSignal): Promise<ProbeResult> {
  const { host, port, timeoutMs } = target;
  return new Promise((resolve) => {
    const headers = { 'user-agent': USER_AGENT, connection: 'close' };
    const call = request({ ...host.connectOptions, port, path, agent: false, headers, signal });
    call.once('socket', (socket) => socket.once('connect', () => host.reached(socket.remoteAddress)));
    call.once('response', (response) => {
      response.destroy();
      resolve(judgeStatus(response.statusCode ?? 0, path));
    });
    call.on('error', (error: Error & { code?: string }) => {
      // llhttp's codes: octets came, and they are no answer of HTTP/1.1.
      const foreign = error.code?.startsWith('HPE_') === true;
      resolve(foreign ? failed(FOREIGN, true) : silence(error, `GET ${path}`, timeoutMs));
    });
    call.end();
  });
}

const FOREIGN = 'what listens on its port does not speak HTTP/1.1 (`traffic.protocol` says what the instances speak)';
