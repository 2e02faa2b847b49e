import net from 'node:net';
import type { ProbeResult, ProbeTarget } from './probe.ts';
import { silence } from './words.ts';

/** Good when a connection is accepted. Nothing is sent or read: for instances that speak none of the other protocols. */
export function askTcp({ host, port, timeoutMs }: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = net.connect({ ...host.connectOptions, port, signal });
    socket.once('connect', () => {
      host.reached(socket.remoteAddress);
      resolve({ ok: true });
      socket.destroy();
    });
    socket.on('error', (error) => resolve(silence(error, 'a connection', timeoutMs)));
  });
}
