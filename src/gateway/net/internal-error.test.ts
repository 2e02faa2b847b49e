import { afterEach, describe, expect, it, vi } from 'vitest';
import { Exchange } from '../proxy/exchange.ts';
import { connectRaw, get, startGateway, startUpstream, statusOf } from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';
import { internalErrors } from './internal-error.ts';

const open = closedAfterEach();
afterEach(() => vi.restoreAllMocks());

describe('an exception of the gateway itself', () => {
  it.each(['begin', 'feedRequest', 'onResponseHead', 'onResponseBody', 'clientGone'] as const)(
    'in %s ends the connection that it came from, and no other',
    async (method) => {
      const upstream = await startUpstream();
      const gateway = await startGateway({ stable: [upstream] });
      open.push(
        () => upstream.close(),
        () => gateway.close(),
      );
      const other = connectRaw(gateway.port);
      other.send('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
      await other.until(/ok$/);
      const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
      const broken = vi.spyOn(Exchange.prototype, method).mockImplementationOnce(() => {
        throw new Error('a fault of the program');
      });
      let answered = false;
      upstream.script = (connection) => {
        if (!connection.received.endsWith('hi') || answered) return;
        answered = true;
        connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok');
        setTimeout(() => connection.socket.write('ok'), 20);
      };
      const client = connectRaw(gateway.port);
      client.send('POST / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: 2\r\n\r\n');
      await new Promise((resolve) => setImmediate(resolve));
      client.send('hi');
      if (method === 'clientGone') client.socket.destroy();
      else await client.closed();
      await vi.waitFor(() => expect(internalErrors.count).toBe(1), { timeout: 10_000 });
      expect(String(written.mock.calls[0]![0])).toMatch(
        /^gateway: internal error, one connection is closed: Error: a fault/,
      );
      expect(broken).toHaveBeenCalled();
      vi.restoreAllMocks();
      internalErrors.count = 0;
      upstream.script = ({ socket }) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      other.send('GET / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n');
      expect(await other.closed()).toMatch(/ok$/);
      expect(statusOf(await gateway.exchange(get()))).toBe(200);
    },
  );
});
