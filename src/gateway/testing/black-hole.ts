import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';

/** A loopback address where a connection is neither accepted nor refused. Linux answers there for all of 127.0.0.0/8. */
export const BLACK_HOLE = '127.0.0.3';

const LISTENER = `require('node:net').createServer().listen({ host: '${BLACK_HOLE}', port: Number(process.argv[1]), backlog: 1 },
  () => process.stdout.write('listening'));`;

/**
 * Opens a black hole at `BLACK_HOLE:port`: a listener that is stopped (SIGSTOP) with its queue full, so that the kernel drops every
 * further SYN. Resolves with what closes it.
 */
export async function openBlackHole(port: number): Promise<() => Promise<void>> {
  const listener = spawn(process.execPath, ['-e', LISTENER, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(listener.stdout, 'data');
  listener.kill('SIGSTOP');
  // A backlog of 1 holds two connections; the others wait for a place that never comes.
  const fillers = Array.from({ length: 4 }, () => net.connect({ host: BLACK_HOLE, port }).on('error', () => {}));
  await Promise.all(fillers.slice(0, 2).map((filler) => once(filler, 'connect')));
  return async () => {
    for (const filler of fillers) filler.destroy();
    const ended = once(listener, 'exit');
    listener.kill('SIGKILL');
    await ended;
  };
}
