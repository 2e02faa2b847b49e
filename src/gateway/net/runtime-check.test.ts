import { once } from 'node:events';
import net from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { HostAddress } from '../../lib/host-address.ts';
import { Wire } from '../http2/wire.ts';
import { answering, get, startGateway, startUpstream } from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';
import { Channel, type ChannelOwner } from './channel.ts';
import { fastReads } from './fast-path.ts';
import { checkRuntime } from './runtime-check.ts';

/** Node.js is changed under the gateway's feet here; this file has its own process. */
const open = closedAfterEach();
afterEach(() => {
  vi.restoreAllMocks();
  Object.assign(fastReads, { accepted: true, connecting: true, secure: true });
});

async function listening(onSocket: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer(onSocket).listen(0, '127.0.0.1');
  open.push(() => server.close());
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

type Prototype = { useUserBuffer(buffer: Buffer): void };

/** Where the handles of a socket have their methods. */
async function handlePrototype(): Promise<Prototype> {
  const socket = net.connect(await listening((accepted) => accepted.destroy()), '127.0.0.1');
  await once(socket, 'connect');
  let at: unknown = (socket as unknown as { _handle: object })._handle;
  socket.destroy();
  while (!Object.hasOwn(at as object, 'useUserBuffer')) at = Object.getPrototypeOf(at);
  return at as Prototype;
}

describe('what the gateway needs of Node.js, tried at its start', () => {
  it('is there in this Node.js', async () => {
    expect(await checkRuntime()).toEqual([]);
    expect(fastReads).toEqual({ accepted: true, connecting: true, secure: true });
  });

  it('sockets that read into other memory than they were given read by events, and deliver what was sent', async () => {
    vi.spyOn(await handlePrototype(), 'useUserBuffer').mockImplementation(() => {});
    const findings = await checkRuntime();
    expect(findings.map((sentence) => /read (\w+) sockets/.exec(sentence)?.[1])).toEqual(['accepted', 'connecting']);
    expect(findings[0]).toContain('other octets came than were sent');
    expect(fastReads).toEqual({ accepted: false, connecting: false, secure: true });

    const upstream = await startUpstream(answering());
    const gateway = await startGateway({ stable: [upstream] });
    open.push(
      () => upstream.close(),
      () => gateway.close(),
    );
    expect(await gateway.exchange(get('/mine'))).toMatch(/ok$/);
    expect(upstream.received()).toMatch(/^GET \/mine HTTP\/1\.1\r\n/);
  });

  it('memory that is free before the kernel has its octets: the gateway does not start', async () => {
    vi.spyOn(net.Socket.prototype, 'writableLength', 'get').mockReturnValue(0);
    await expect(checkRuntime()).rejects.toMatchObject({
      code: 'gateway/unfit-runtime',
      message: expect.stringMatching(/tell when the kernel has taken what was written .*other octets came/),
    });
  });

  it('connections that cannot be given to HTTP/2: the gateway does not start', async () => {
    vi.spyOn(Wire.prototype, 'onBytes').mockImplementation(function (this: Wire) {
      this.destroy();
    });
    await expect(checkRuntime()).rejects.toMatchObject({
      code: 'gateway/unfit-runtime',
      message: expect.stringMatching(/hand a connection over to node:http2/),
    });
  });
});

describe('a channel whose socket has a handle that was not given our memory', () => {
  it('ends, and hands on nothing of it', async () => {
    const accepted = Promise.withResolvers<net.Socket>();
    const foreign = await listening((socket) => accepted.resolve(socket));
    const mine = await listening((socket) => socket.write('mine'));
    const seen: string[] = [];
    const gone = Promise.withResolvers<Error | undefined>();
    const other = net.connect(foreign, '127.0.0.1');
    const peer = await accepted.promise;
    /** As if Node.js had gone on with another handle and had not asked for memory. */
    const exchangeHandle = (): void => {
      const theirs = (other as unknown as { _handle: Record<symbol, unknown> })._handle;
      const ownerSymbol = Object.getOwnPropertySymbols(theirs).find((one) => one.description === 'owner_symbol');
      theirs[ownerSymbol as symbol] = channel.socket;
      (channel.socket as unknown as { _handle: unknown })._handle = theirs;
      peer.write('octets of another connection');
    };
    const owner: ChannelOwner = {
      onBytes: (buf, start, end) => {
        seen.push(buf.toString('latin1', start, end));
        exchangeHandle();
      },
      onEnd: () => {},
      onDrain: () => {},
      onClose: (error) => gone.resolve(error),
    };
    const channel = Channel.connect(new HostAddress('127.0.0.1'), mine, owner, () => {});
    expect((await gone.promise)?.message).toBe('a read did not go into the memory of the gateway');
    expect(seen).toEqual(['mine']);
  });
});
